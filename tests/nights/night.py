"""A champion's first night, and a second one on a new batch: the product's stages, one after another, in one process.

A night is a folder with params.yaml and data/. What `dvc repro` would not run again is not run again: the second night has the
first one's encoders, and its profiles and features of the first batch by `.memo`, as a runner brings them.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tasks.champion.__main__ import champion
from tasks.damage.__main__ import damage
from tasks.evaluate.__main__ import evaluate
from tasks.extract.__main__ import extract
from tasks.files import read_json, write_json
from tasks.gate.__main__ import gate
from tasks.index import read_index, write_index
from tasks.ingest import ingest
from tasks.ingest.landing import list_batches
from tasks.params import load
from tasks.paths import ANCHOR, BUNDLE, CHAMPION, ENCODERS, FEATURES, INDEX, MANIFEST, MEMO, PROFILES, RAW, REFERENCE, REPORTS
from tasks.pretrain.__main__ import pretrain
from tasks.probe.__main__ import probe
from tasks.profile.__main__ import profile
from tasks.robustness.__main__ import robustness
from tasks.select.__main__ import select
from tasks.train.__main__ import train
from tasks.validate.__main__ import validate
from tests.nights.faults import FAULTS
from tests.nights.world import FIRST, SECOND, land, sample

LANDING = Path("data/0_landing")
REGISTRY = Path("data/registry.json")
REIGNING = {CHAMPION: BUNDLE, ANCHOR: BUNDLE, Path("data/champion_manifest"): MANIFEST, Path("data/anchor_manifest"): MANIFEST}
TOLD = "night.json"
PARAMS: dict[str, Any] = {
    "modalities": {"audio": {"kind": "audio", "max_s": 0.1, "bands": 16}, "image": {"kind": "image", "side_px": 24}}
    | {"text": {"kind": "text", "max_chars": 48}},
    "targets": {"label": {}},
    "fusions": ["concat"],
    "split": {"test": 0.3},
    "pretrain": {"epochs": 5, "width": 16},
    "train": {"epochs": 12, "patience": 4, "batch": 256, "learning_rate": 0.01, "width": 16, "finetune": []},
    "evaluate": {"bootstrap": 400},
    "robustness": {"samples": 20, "levels": [0.5, 1.0]},
    "gate": {"margin": 0.04, "horizon": 1, "rows": {"decay": "blocking", "drift": "blocking"}},
}
MODALITIES = sorted(PARAMS["modalities"])


def first(seed: str) -> None:
    """A good night without a champion, whose model is promoted."""
    with _told(int(seed), "first"):
        write_params(int(seed))
        for folder in (*REIGNING, Path("data/start")):
            folder.mkdir(parents=True)
        nobody = {"version": None, "batches": []}
        write_json(REGISTRY, {"champion": {"number": 0, **nobody}, "anchor": nobody})
        land(LANDING / "night-1", (sample(int(seed), number) for number in range(FIRST)))
        ingested()
        prepared()
        for modality in MODALITIES:
            pretrain(modality)
            extract(modality)
        _fitted()
        _judged()
        _promote()


def second(seed: str, name: str, base: str) -> None:
    """A night that lands one batch more, with one fault planted, on top of a first one in the folder `base`."""
    fault = FAULTS[name]
    with _told(int(seed), name):
        enter(Path(base))
        write_params(int(seed))
        batch = [sample(int(seed), number) for number in range(FIRST, FIRST + SECOND)]
        land(LANDING / "night-2", fault.landed(batch, int(seed)))
        ingested()
        prepared()
        for modality in MODALITIES:
            extract(modality)
        with fault.fitting():
            _fitted()
        _judged()


def write_params(seed: int) -> None:
    """params.yaml of a seed."""
    Path("params.yaml").write_text(json.dumps(PARAMS | {"seed": seed}))  # JSON is YAML


def ingested() -> None:
    """As `python -m tasks.ingest`: what is new; the first batch is the reference."""
    known = read_index() if INDEX.is_file() else []
    new = [one for one in list_batches(str(LANDING)) if one.name not in {batch.name for batch in known}]
    batches = [*known, *(ingest(one, load(), RAW).batch for one in new)]
    write_index(batches)
    write_index(batches[:1], REFERENCE)


def prepared() -> None:
    """Profile and validate."""
    for modality in MODALITIES:
        profile(modality)
    validate()


def _fitted() -> None:
    for candidate in (*PARAMS["fusions"], "plain"):
        train(candidate)
    select()


def _judged() -> None:
    evaluate()
    probe()
    for modality in MODALITIES:
        damage(modality)
    robustness()
    champion()
    gate()


def _promote() -> None:
    """The bundle reigns from now on, and is the best ever: what the next `open` would pin (see tasks/run/pins.py)."""
    for folder, of in REIGNING.items():
        shutil.copytree(of, folder, dirs_exist_ok=True)
    pins = {"version": "v1.0.0", "batches": [batch.key for batch in read_index()]}
    write_json(REGISTRY, {"champion": {"number": 1, **pins}, "anchor": pins})


def enter(base: Path) -> None:
    """Bring into this folder what a second night starts with."""
    for path in (RAW, ENCODERS, *REIGNING):
        shutil.copytree(base / path, path, copy_function=os.link)
    for path in (INDEX, REFERENCE, REGISTRY):
        shutil.copyfile(base / path, path)
    for path in (PROFILES, FEATURES):
        shutil.copytree(base / path, MEMO / path, copy_function=os.link)


@contextmanager
def _told(seed: int, name: str) -> Iterator[None]:
    """Write what the night came to, and what it cost, into TOLD. Pictures are for people: none is drawn."""
    with patch("matplotlib.figure.Figure.savefig"):
        yield
    verdict = read_json(REPORTS / "verdict.json")
    failed = {row["name"]: row["reason"] for row in verdict["rows"] if row["verdict"] == "fail"}
    found = {"seed": seed, "night": name, "verdict": verdict["verdict"], "decided_by": verdict["decided_by"], "failed": failed}
    found |= {"rows": {row["name"]: row["reason"] for row in verdict["rows"]}}
    validated, manifest = read_json(MANIFEST / "validation.json"), read_json(MANIFEST / "manifest.json")
    found |= {"admitted": validated["success"], "quarantined": manifest["quarantined"]}
    write_json(Path(TOLD), found | {"cpu_s": round(sum(os.times()[:4]), 2)})
