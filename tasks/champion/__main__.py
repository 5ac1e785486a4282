"""Predict the current test samples with the champion and the anchor: `python -m tasks.champion`."""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.bundle import Bundle
from tasks.champion.features import features_for
from tasks.errors import NoData
from tasks.files import folder_digest
from tasks.params import load
from tasks.paths import ANCHOR, CHAMPION, REPORTS
from tasks.stage import count, enter
from tasks.steady import steady
from tasks.tables import probability_columns, write_parquet
from tasks.train.inputs import read_classes, read_samples_of

WHO = {"champion": CHAMPION, "anchor": ANCHOR}

Aligned = dict[str, npt.NDArray[np.float64]]


def champion() -> None:
    """Write data/6_reports/champion.parquet: `sample_id`, `who`, `<target>__<class index>`; no row for whom there is none.

    Raises:
        ContractBroken: a bundle is damaged.
        NoData: raw partitions that a bundle's own encoder needs are absent.
    """
    classes, samples = read_classes(), read_samples_of(["test"])
    answers: dict[str, tuple[Aligned, int]] = {}
    tables = [empty(classes)]
    for who, folder in WHO.items():
        if not folder.is_dir():
            raise NoData(f"{folder} is not here: `dvc pull {folder}` brings the {who}, or an empty folder when there is none")
        if any(folder.iterdir()):
            digest = folder_digest(folder)
            if digest not in answers:  # the anchor often is the champion
                with steady(load().threads):
                    answers[digest] = predict(folder, samples, classes)
            tables.append(table_of(who, samples, answers[digest][0], classes))
    write_parquet(REPORTS / "champion.parquet", pa.concat_tables(tables).combine_chunks())
    encoded = sum(number for _, number in answers.values())
    count(encoded=encoded, predicted=len(answers) * samples.num_rows)


def predict(folder: Path, samples: pa.Table, classes: Mapping[str, tuple[str, ...]]) -> tuple[Aligned, int]:
    """Probabilities of the night's targets by one bundle, and how many raw rows had to be encoded anew."""
    bundle = Bundle.load(folder)
    features, encoded = features_for(bundle, samples)
    answer = bundle.predict(features)
    return {t: align(answer[t], bundle.targets[t], classes[t]) for t in classes if t in answer}, encoded


def align(probabilities: npt.NDArray[np.float64], theirs: tuple[str, ...], ours: tuple[str, ...]) -> npt.NDArray[np.float64]:
    """Reorder probabilities [n, theirs] to the night's classes by name: a class that the model does not know gets 0."""
    aligned = np.zeros((len(probabilities), len(ours)))
    for index, name in enumerate(ours):
        if name in theirs:
            aligned[:, index] = probabilities[:, theirs.index(name)]
    return aligned


def table_of(who: str, samples: pa.Table, answer: Aligned, classes: Mapping[str, tuple[str, ...]]) -> pa.Table:
    """One model's rows; no rows when it predicts none of the night's targets, nulls for a target that it does not predict."""
    if not answer:
        print(f"the {who} predicts none of {', '.join(classes)}", flush=True)
        return empty(classes)
    columns = {"sample_id": samples["sample_id"].combine_chunks(), "who": pa.array([who] * samples.num_rows)}
    for target, names in classes.items():
        if target in answer:
            columns |= probability_columns(target, answer[target])
        else:
            columns |= {f"{target}__{i}": pa.nulls(samples.num_rows, pa.float64()) for i in range(len(names))}
    return pa.table(columns, schema=schema(classes))


def empty(classes: Mapping[str, tuple[str, ...]]) -> pa.Table:
    """The table without rows."""
    return schema(classes).empty_table()


def schema(classes: Mapping[str, tuple[str, ...]]) -> pa.Schema:
    """The table's columns."""
    numbers = [(f"{target}__{i}", pa.float64()) for target, names in classes.items() for i in range(len(names))]
    return pa.schema([("sample_id", pa.string()), ("who", pa.string()), *numbers])


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    enter(champion)
