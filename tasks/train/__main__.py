"""Fit a candidate on the frozen features: `python -m tasks.train attention`; `plain` fits all plain candidates."""

import argparse
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from tasks.errors import UnknownName
from tasks.files import new_folder
from tasks.params import load
from tasks.paths import CANDIDATES
from tasks.ranks.start import joined
from tasks.stage import count, enter
from tasks.steady import steady
from tasks.tables import answer_columns, write_parquet
from tasks.train.candidates import Candidate
from tasks.train.domains import Domains
from tasks.train.fit import fit
from tasks.train.fusions import FUSIONS
from tasks.train.inputs import Inputs, read_aside, read_domain, read_inputs, read_outputs, read_unlabelled
from tasks.train.late import Late
from tasks.train.neural import Answers
from tasks.train.plain import plain
from tasks.train.task import Task


def train(name: str) -> None:
    """Write data/5_models/candidates/<name>/, or for `plain` a folder per plain candidate below it.

    Raises:
        UnknownName: no such fusion.
        ContractBroken: train or val holds no labelled sample, or features do not fit the manifest.
    """
    if name != "plain" and name not in FUSIONS:
        raise UnknownName("fusion", name, [*FUSIONS, "plain"])
    params = load()
    also = name != "plain" and (params.train.align > 0 or params.train.missing == "mapped")  # they need no labels
    with steady(params.threads), joined("tasks.train", name, params.train.processes, params.device) as ranks:
        task = Task(read_outputs(), params.targets, params.train, params.seed, ranks.device, ranks)
        fitting, judging = read_inputs(params.modalities, "train", also), read_inputs(params.modalities, "val")
        aside = read_aside(params.modalities)
        domains = Domains()
        if params.train.domains != "none":
            fitting = fitting if also else replace(fitting, unlabelled=read_unlabelled(params.modalities))
            domains = Domains.of(read_domain(), fitting)
            fitting, judging = domains.adapted(fitting), domains.adapted(judging)
        if name == "plain":
            more = read_inputs(params.modalities, "train", unlabelled=True) if params.train.distil else None
            candidates = list(plain(fitting, judging, task, more and domains.adapted(more)))
        else:
            candidates = [fit(name, "fusion", name, fitting, judging, task)]
    if not ranks.first:
        return
    with new_folder(CANDIDATES / name) as folder, steady(params.threads):
        for candidate in candidates:
            place = folder / candidate.card.name if name == "plain" else folder
            write(candidate, judging, aside and domains.adapted(aside), place)
            domains.only(candidate.card.modalities).save(place)
    count(steps=sum(candidate.card.steps for candidate in candidates))


def write(candidate: Candidate, val: Inputs, aside: Inputs | None, folder: Path) -> None:
    """Write a candidate, and its answers for the validation samples and for those that were set aside for calibration."""
    folder.mkdir(exist_ok=True)
    candidate.save(folder)
    tables = [_table(val, candidate.held_out(val) if isinstance(candidate, Late) else candidate.predict(val.features))]
    if aside is not None:
        tables.append(_table(aside, candidate.predict(aside.features)))
    write_parquet(folder / "scores.parquet", pa.concat_tables(tables).combine_chunks())


def _table(inputs: Inputs, answers: Answers) -> pa.Table:
    columns = {"sample_id": inputs.samples["sample_id"].combine_chunks()}
    for target, answer in answers.items():
        columns |= answer_columns(target, answer)
    return pa.table(columns)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("candidate", help=f"{', '.join(sorted(FUSIONS))} or plain")
    enter(train, parser.parse_args().candidate)
