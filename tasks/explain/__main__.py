"""Show where in the input some answers of the selected model come from: `python -m tasks.explain`."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.bundle import Bundle
from tasks.damage import kind_module as opener
from tasks.errors import ContractBroken
from tasks.explain import kind_module
from tasks.explain.among import newest
from tasks.explain.examples import Example, examples
from tasks.explain.worth import FEWEST, STEPS, Array, Opened, Question, alike, asker, deletion, randomised, shapley
from tasks.extract import options_of
from tasks.files import new_folder, write_json
from tasks.params import Params, keyed_seed, load
from tasks.paths import BUNDLE, REPORTS
from tasks.stage import count, enter
from tasks.steady import steady
from tasks.tables import truth, write_parquet
from tasks.train.inputs import chosen, domains_of, read_domain, read_outputs
from tasks.train.raws import raw_rows

FIELDS = [
    ("sample_id", pa.string()),
    ("right", pa.bool_()),
    ("truth", pa.string()),
    ("says", pa.string()),
    ("sure", pa.float64()),
    ("picture", pa.binary()),  # PNG
]


def explain() -> None:
    """Write data/6_reports/explain/: explain.json, examples.parquet (a row per answer), and deletion.png where there are any.

    Raises:
        NoData: the bundle, features, the manifest or raw partitions are absent.
        ContractBroken: the bundle is damaged.
    """
    params = load()
    found: dict[str, Any] = {"target": params.gate.target, "selected": "", "right": 0, "wrong": 0, "modalities": {}}
    found["share"] = [step / STEPS for step in range(STEPS + 1)]
    rows: list[dict[str, Any]] = []
    modalities: list[str] = []
    if params.evaluate.examples:
        with steady(params.threads):
            bundle = Bundle.load(BUNDLE)
            modalities = list(bundle.modalities)
            rows, found["modalities"] = told(bundle, params)
            found["selected"] = bundle.candidate.card.name
    found |= {"right": sum(row["right"] for row in rows), "wrong": sum(not row["right"] for row in rows)}
    schema = pa.schema([*FIELDS, *((f"worth of {m}", pa.list_(pa.float64())) for m in modalities)])
    with new_folder(REPORTS / "explain") as folder:
        write_json(folder / "explain.json", found)
        write_parquet(folder / "examples.parquet", pa.Table.from_pylist(rows, schema))
        if found["modalities"]:
            from tasks.explain.pictures import draw_curves

            number = read_outputs()[params.gate.target].is_number
            draw_curves(folder / "deletion.png", found, f"lost of the {'value' if number else 'probability'}")
    count(explained=len(rows))


def told(bundle: Bundle, params: Params) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows of examples.parquet, and what is told of each modality."""
    from tasks.explain.pictures import drawn

    target = params.gate.target
    output = read_outputs()[target]
    samples = newest(list(bundle.modalities), target, params.evaluate.examples)
    raw = {m: _raw(m, samples) for m in bundle.modalities}
    features = {m: bundle.encode(m, items) for m, items in raw.items()}
    domain = domains_of(samples) if bundle.domains.column and bundle.domains.column == read_domain() else None
    answer = bundle.predict(features, domain)[target]
    lost = randomised(bundle, params.seed)
    rows, seen = [], {m: _Seen() for m in bundle.modalities}
    for example in examples(answer, truth(samples[target]), output, params.evaluate.examples):
        sample = samples["sample_id"][example.row].as_py()
        at = np.array([example.row])
        question = Question(
            {m: chosen(body, at) for m, body in features.items()},
            None if domain is None else domain[example.row],
            target,
            example.column,
            output.is_number,
            example.lacks,
        )
        things = _opened(bundle, {m: items[example.row] for m, items in raw.items()})
        worth = {}
        for opened in things:
            seeds = [keyed_seed(params.seed, "explain", sample, opened.modality, name) for name in ("one", "other", "luck")]
            worth[opened.modality] = seen[opened.modality].add(bundle, lost, opened, question, seeds)
        if worth:
            rows.append(_row(example, sample, drawn(things, bundle.kinds, worth, output.is_number), worth))
            print(f"{len(rows)} explained: {'right' if example.right else 'wrong'}, {', '.join(worth)}", flush=True)
    return rows, {m: body.as_json() for m, body in seen.items() if body.lost}


class _Seen:
    """What the examples tell of one modality, one by one."""

    def __init__(self) -> None:
        self.lost: list[dict[str, Array]] = []
        self.itself: list[float] = []
        self.randomised: list[float] = []

    def add(self, bundle: Bundle, lost: Bundle, opened: Opened, question: Question, seeds: Sequence[int]) -> Array:
        """What each part of a sample is worth."""
        how = kind_module(bundle.kinds[opened.modality])
        assert how is not None  # noqa: S101  `_opened` left others out
        ask, blind = asker(bundle, opened, how, question), asker(lost, opened, how, question)
        one, other = (shapley(ask, opened.parts, seed) for seed in seeds[:2])
        worth = (one + other) / 2
        self.lost.append(deletion(ask, worth, np.random.default_rng(seeds[2]), question.number))
        if opened.parts >= FEWEST:
            self.itself.append(alike(one, other))
            self.randomised.append(alike(one, shapley(blind, opened.parts, seeds[1])))
        return worth

    def as_json(self) -> dict[str, Any]:
        """What explain.json holds of it.

        `examples`: how many; `itself`, `randomised`: how alike two estimates are, and one beside the randomised model's, None
        where parts are too few; `lost`: curves; `area`: their mean heights.
        """
        lost = {order: np.mean([of[order] for of in self.lost], axis=0) for order in self.lost[0]}
        return {
            "examples": len(self.lost),
            "itself": float(np.mean(self.itself)) if self.itself else None,
            "randomised": float(np.mean(self.randomised)) if self.randomised else None,
            "lost": {order: curve.tolist() for order, curve in lost.items()},
            "area": {order: float(curve.mean()) for order, curve in lost.items()},
        }


def _raw(modality: str, samples: pa.Table) -> list[bytes | None]:
    items: list[bytes | None] = [None] * samples.num_rows
    for _, rows, found in raw_rows(modality, samples):
        for row, data in zip(rows, found, strict=True):
            items[int(row)] = data
    return items


def _opened(bundle: Bundle, items: Mapping[str, bytes | None]) -> list[Opened]:
    """The modalities that the sample has, whose kind has parts, and of which something can be read."""
    found = []
    for m, data in items.items():
        how, card = kind_module(bundle.kinds[m]), bundle.encoders[m].card
        if how is None or data is None:
            continue
        try:
            thing = opener(bundle.kinds[m]).read(data, options_of(card), card.facts)
        except ContractBroken:
            continue
        if parts := how.parts(thing):
            found.append(Opened(m, thing, parts))
    return found


def _row(example: Example, sample: str, picture: bytes, worth: Mapping[str, Array]) -> dict[str, Any]:
    told = {"sample_id": sample, "right": example.right, "truth": example.truth, "says": example.says, "sure": example.sure}
    return {**told, "picture": picture, **{f"worth of {m}": of.tolist() for m, of in worth.items()}}


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    enter(explain)
