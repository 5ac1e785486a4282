"""Predict the current test samples with the champion and the anchor: `python -m tasks.champion`."""

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.bundle import Bundle
from tasks.champion.features import features_for
from tasks.errors import NoData
from tasks.features import Features
from tasks.files import folder_digest
from tasks.params import load
from tasks.paths import ANCHOR, CHAMPION, REPORTS
from tasks.stage import count, enter
from tasks.steady import steady
from tasks.tables import answer_columns, without, write_parquet
from tasks.targets import Output
from tasks.train.inputs import domains_of, read_domain, read_outputs, read_samples_of

WHO = {"champion": CHAMPION, "anchor": ANCHOR}

Aligned = dict[str, npt.NDArray[np.float64]]


def champion() -> None:
    """Write data/6_reports/champion.parquet: `sample_id`, `who`, `<target>__<number>`; no row for whom there is none.

    `<target> without <modality>__<number>` is what the champion answers where that modality is taken away; null where it never
    had it, and of the anchor.

    Raises:
        ContractBroken: a bundle is damaged.
        NoData: raw partitions that a bundle's own encoder needs are absent.
    """
    outputs, samples, params = read_outputs(), read_samples_of(["test"]), load()
    columns = schema(outputs, params.modalities)
    answers: dict[str, tuple[Aligned, int]] = {}
    tables = [columns.empty_table()]
    for who, folder in WHO.items():
        if not folder.is_dir():
            raise NoData(f"{folder} is not here: `dvc pull {folder}` brings the {who}, or an empty folder when there is none")
        if any(folder.iterdir()):
            digest = folder_digest(folder)
            if digest not in answers:  # the anchor often is the champion
                with steady(params.threads):
                    answers[digest] = predict(folder, samples, outputs)
            tables.append(table_of(who, samples, answers[digest][0], outputs, columns))
    write_parquet(REPORTS / "champion.parquet", pa.concat_tables(tables).combine_chunks())
    encoded = sum(number for _, number in answers.values())
    count(encoded=encoded, predicted=len(answers) * samples.num_rows)


def predict(folder: Path, samples: pa.Table, outputs: Mapping[str, Output]) -> tuple[Aligned, int]:
    """Answers for the night's targets by one bundle, and how many raw rows had to be encoded anew.

    A target that has had another type is not answered.
    """
    bundle = Bundle.load(folder)
    features, encoded = features_for(bundle, samples)
    known = domains_of(samples) if bundle.domains.column and bundle.domains.column == read_domain() else None
    answer, theirs = bundle.predict(features, known), bundle.targets
    same = [t for t in outputs if t in answer and theirs[t].type == outputs[t].type]
    found = {t: align(answer[t], theirs[t], outputs[t]) for t in same}
    for m in bundle.modalities if folder == CHAMPION else ():
        if f"has_{m}" in samples.column_names:
            gone = Features(features[m].tokens, np.zeros_like(features[m].mask), features[m].time)
            rest = bundle.predict({**features, m: gone}, known)
            found |= {without(t, m): align(rest[t], theirs[t], outputs[t]) for t in same}
    return found, encoded


def align(answer: npt.NDArray[np.float64], theirs: Output, ours: Output) -> npt.NDArray[np.float64]:
    """Reorder probabilities [n, theirs] to the night's classes by name: a class that the model does not know gets 0."""
    if ours.is_number:
        return answer
    aligned = np.zeros((len(answer), len(ours.classes)))
    for index, name in enumerate(ours.classes):
        if name in theirs.classes:
            aligned[:, index] = answer[:, theirs.classes.index(name)]
    return aligned


def table_of(who: str, samples: pa.Table, answer: Aligned, outputs: Mapping[str, Output], columns: pa.Schema) -> pa.Table:
    """One model's rows; no rows when it predicts none of the night's targets, nulls for a target that it does not predict."""
    if not answer:
        print(f"the {who} predicts none of {', '.join(outputs)}", flush=True)
        return columns.empty_table()
    found = {"sample_id": samples["sample_id"].combine_chunks(), "who": pa.array([who] * samples.num_rows)}
    for name, values in answer.items():
        if who == "champion" or name in outputs:
            found |= answer_columns(name, values)
    nothing = pa.nulls(samples.num_rows, pa.float64())
    return pa.table({name: found.get(name, nothing) for name in columns.names}, schema=columns)


def schema(outputs: Mapping[str, Output], modalities: Iterable[str]) -> pa.Schema:
    """The table's columns."""
    names = {t: [t, *(without(t, m) for m in sorted(modalities))] for t in outputs}
    numbers = [(f"{n}__{i}", pa.float64()) for t, output in outputs.items() for n in names[t] for i in range(output.width)]
    return pa.schema([("sample_id", pa.string()), ("who", pa.string()), *numbers])


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    enter(champion)
