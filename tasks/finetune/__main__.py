"""Fit a fusion and its encoders end to end: `python -m tasks.finetune concat`."""

import argparse
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from tasks.errors import UnknownName
from tasks.extract import Loaded, load_encoder, save_encoder
from tasks.files import new_folder
from tasks.finetune.encoders import Encoders
from tasks.finetune.raw import prepared, write_encoded
from tasks.params import Params, load
from tasks.paths import CANDIDATES, ENCODERS, finetuned
from tasks.stage import count, enter
from tasks.steady import steady
from tasks.train.__main__ import write
from tasks.train.fit import InFront, fit
from tasks.train.fusions import FUSIONS
from tasks.train.inputs import Inputs, read_aside, read_inputs, read_outputs, read_samples_of
from tasks.train.network import Network
from tasks.train.neural import Neural
from tasks.train.rows import Rows
from tasks.train.task import Task


def finetune(fusion: str) -> None:
    """Write data/5_models/candidates/finetune-<fusion>/: a candidate with its own encoders.

    It starts from the encoders of `pretrain`; losses and knobs are those of `train` but for `processes` (it is one) and for
    `align`, `missing` and `domains`, which are about features that stay as they are. Early stopping waits until something was
    learned. Encoders from elsewhere stay as they are. encoders/<m>/ holds what was fitted, features/<m>/ what it makes of
    the samples that are not train.

    Raises:
        UnknownName: no such fusion.
        NoData: raw partitions, encoders or features are absent.
        ContractBroken: train or val holds no labelled sample, or what is read does not belong together.
    """
    if fusion not in FUSIONS:
        raise UnknownName("fusion", fusion, FUSIONS)
    params = load()
    knobs = replace(params.train, domains="none")  # each domain's features are not what they were once an encoder has moved
    task = Task(read_outputs(), params.targets, knobs, params.seed, params.device)
    train, val = (read_inputs(params.modalities, split) for split in ("train", "val"))
    encoders = ours(params)
    with new_folder(CANDIDATES / finetuned(fusion)) as folder:
        with steady(threads=1):  # processes are forked before any thread is
            front = in_front(encoders, train, val, params)
        with steady(params.threads):
            candidate = fit(finetuned(fusion), "finetune", fusion, train, val, task, in_front=front)
        with steady(threads=1):
            encoded = write_encoders(candidate, encoders, params.device, folder)
            aside = read_aside(params.modalities)
            write(candidate, val.by_own_encoders(folder), aside and aside.by_own_encoders(folder), folder)
    count(encoded=encoded, steps=candidate.card.steps)


def ours(params: Params) -> dict[str, Loaded]:
    """The encoders that `pretrain` fitted: modality -> encoder."""
    return {m: load_encoder(ENCODERS / m) for m, chosen in sorted(params.modalities.items()) if chosen.encoder is None}


def in_front(encoders: dict[str, Loaded], train: Inputs, val: Inputs, params: Params) -> InFront:
    """Read the raw samples of both splits; returns what puts the encoders in front of a network."""

    def content(inputs: Inputs) -> dict[str, Tensor]:
        parts = [prepared(params.modalities[m], one, inputs.samples, params.threads) for m, one in encoders.items()]
        return {key: values for part in parts for key, values in part.items()}

    contents = content(train), content(val)

    def taking(rows: Rows, content: dict[str, Tensor]) -> Rows:
        kept = {m: values for m, values in rows.tokens.items() if m not in encoders}
        return replace(rows, tokens=kept | {key: values.to(params.device) for key, values in content.items()})

    def front(network: Network, fitting: Rows, judging: Rows) -> tuple[Rows, Rows]:
        network.encoders = Encoders(encoders).to(params.device)
        return taking(fitting, contents[0]), taking(judging, contents[1])

    return front


def write_encoders(candidate: Neural, encoders: dict[str, Loaded], device: str, folder: Path) -> int:
    """Take the encoders from in front of the network, write them and what they make of the samples that are not train.

    Returns:
        the number of raw samples that were encoded.
    """
    candidate.network.encoders, encoded = None, 0
    samples = read_samples_of(["val", "calibration", "test"])
    for modality, one in encoders.items():
        place = folder / "encoders" / modality
        save_encoder(place, replace(one.card, steps=one.card.steps + candidate.card.steps), one.network)
        encoded += write_encoded(modality, load_encoder(place), samples, device, folder / "features" / modality)
    return encoded


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fusion", help=", ".join(sorted(FUSIONS)))
    enter(finetune, parser.parse_args().fusion)
