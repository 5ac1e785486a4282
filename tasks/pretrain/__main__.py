"""Fit one modality's encoder on the reference: `python -m tasks.pretrain image`."""

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from torch import nn

from tasks import params as parameters
from tasks.errors import ContractBroken
from tasks.extract import Card, network_module, save_encoder
from tasks.files import folder_digest, new_folder
from tasks.index import Batch, partitions, read_index
from tasks.params import Modality, Params, Source
from tasks.paths import ENCODERS, REFERENCE, START
from tasks.pretrain.fit import fit
from tasks.pretrain.objectives.batch import Head
from tasks.pretrain.start import beginning
from tasks.profile import kind_module
from tasks.ranks import Ranks
from tasks.ranks.start import joined
from tasks.raw import read_partition
from tasks.splits import answered, groups, share, training_rows
from tasks.stage import count, enter
from tasks.standard import standardised, statistics_of
from tasks.steady import steady
from tasks.tables import UNLABELLED, labelled
from tasks.targets import Output, number

WATCHED = 0.1  # share of the groups that tell the best epoch of an objective without labels
FEWEST_WATCHED = 16  # samples; with fewer all teach, for all epochs


def pretrain(modality: str) -> None:
    """Write data/5_models/encoders/<modality>/ (see tasks/extract/__init__.py).

    Only train rows of the reference are seen, the labelled ones or, without labels in the objective, all of them, in the
    order of their ids: nothing else changes a byte. With `encoder:` in the modality's params the model named there is
    fetched instead.

    Raises:
        NoData: nothing has landed.
        ContractBroken: too little to fit an encoder on, a partition is not the one that was ingested, or `pretrain.start`
            names an encoder of another shape.
    """
    params = parameters.load(modality=modality)
    chosen = params.modalities[modality]
    if chosen.encoder is not None:
        take(chosen, chosen.encoder)
        return
    with joined("tasks.pretrain", modality, params.pretrain.processes, params.device) as ranks:
        card, network, decoded = _fitted(chosen, params, ranks)
    if ranks.first:
        with new_folder(ENCODERS / modality) as folder:
            save_encoder(folder, card, network)
        count(decoded=decoded, steps=card.steps)


def _fitted(chosen: Modality, params: Params, ranks: Ranks) -> tuple[Card, nn.Module, int]:
    """An encoder with its card, and how many samples were decoded for it."""
    modality, start = chosen.name, beginning(chosen, params.pretrain)
    batches = read_index(REFERENCE)
    rows = training_rows(batches, params)
    outputs = answered(batches, rows, params)
    arrays = _arrays(batches, chosen, set(zip(rows["batch"], rows["sample_id"], strict=True)))
    rows = rows.set_index("sample_id", drop=False).loc[list(arrays)]
    labels = _labels(rows, outputs)
    supervised = params.pretrain.objective == "supervised"
    if len(arrays) < 2 or (supervised and not any(labelled(of).any() for of in labels.values())):
        raise ContractBroken(
            f"modality {modality}: {len(arrays)}{' labelled' if supervised else ''} training samples of the reference can be"
            " decoded, at least 2 are needed: land a batch that holds more, or move the reference"
        )
    module = network_module(chosen.kind)
    heads = {target: Head(params.targets[target], output.width) for target, output in outputs.items()}
    with steady(params.threads):
        fitted = fit(
            module,
            chosen.options,
            list(arrays.values()),
            labels,
            heads,
            params.pretrain,
            params.seed,
            modality,
            ranks.device,
            None if supervised else _watched(rows, params.seed),
            start,
            ranks,
        )
    names = {target: list(output.classes) for target, output in outputs.items()}
    card = Card(
        chosen.kind,
        asdict(chosen.options),
        fitted.facts,
        params.pretrain.width,
        names,
        fitted.steps,
        fitted.curve,
        start=folder_digest(START / "encoders" / modality) if start else None,
    )
    return card, fitted.network, len(arrays)


def take(chosen: Modality, source: Source) -> None:
    """Write a model from elsewhere as the modality's encoder: nothing is fitted, no sample is looked at."""
    from tasks.pretrain.fetch import fetch

    facts, width, network = fetch(chosen, source)
    card = Card(chosen.kind, asdict(chosen.options), facts, width, {}, 0, [], asdict(source))
    with new_folder(ENCODERS / chosen.name) as folder:
        save_encoder(folder, card, network)
    count(decoded=0, steps=0)


def _arrays(batches: list[Batch], chosen: Modality, wanted: set[tuple[str, str]]) -> dict[str, npt.NDArray[Any]]:
    """Decoded training samples by id, in the order of the ids; what cannot be decoded is left to `validate`.

    Args:
        batches: the reference.
        chosen: the modality.
        wanted: key of the batch and id: another batch may bring the id again, and other content under it.
    """
    kind = kind_module(chosen.kind)
    found = {}
    for batch, partition in partitions(batches, chosen.name):
        table = read_partition(partition)
        for sample, data in zip(table["sample_id"].to_pylist(), table["data"].to_pylist(), strict=True):
            if (batch.key, sample) in wanted:
                try:
                    found[sample] = kind.decode(data, chosen.options)
                except ContractBroken:
                    continue
    return dict(sorted(found.items()))


def _labels(rows: pd.DataFrame, outputs: Mapping[str, Output]) -> dict[str, npt.NDArray[Any]]:
    """Per target each row's class number, or standardised value; see tasks/losses.py for what is unlabelled or unknown."""
    found: dict[str, npt.NDArray[Any]] = {}
    for target, output in outputs.items():
        cells = rows[target].tolist()
        if output.is_number:
            values = np.array([number(cell) if isinstance(cell, str) else np.nan for cell in cells])
            found[target] = standardised(values, statistics_of(values))
        elif output.is_set:
            empty = [UNLABELLED] * output.width
            found[target] = np.array([output.numbered(cell) or empty for cell in cells], dtype=np.int64)
        else:
            numbers = {name: place for place, name in enumerate(output.classes)}
            found[target] = np.array([numbers.get(cell, UNLABELLED) for cell in cells], dtype=np.int64)
    return found


def _watched(rows: pd.DataFrame, seed: int) -> npt.NDArray[np.bool_] | None:
    """Which rows tell the best epoch, by a hash of their group: bool [n]; None where they are too few, or most."""
    watched = np.array([share(seed, "watched", group) < WATCHED for group in groups(rows)], dtype=bool)
    return watched if FEWEST_WATCHED <= watched.sum() <= len(watched) / 2 else None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modality")
    enter(pretrain, parser.parse_args().modality)
