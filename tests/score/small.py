"""A whole bundle of several kinds, drawn and not fitted, with its raw samples and batches of them to land: made in a moment."""

import contextlib
import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

from tasks.bundle import Bundle
from tasks.extract import Card as EncoderCard
from tasks.extract import network_module, save_encoder
from tasks.ingest.landing import Landed, list_batches
from tasks.params import Params, check
from tasks.paths import ENCODERS
from tasks.profile import kind_module
from tasks.score.batch import score_batch
from tasks.score.model import Gone, Model, contract
from tasks.select.assemble import assemble
from tasks.targets import Output
from tasks.train.card import Card, described
from tasks.train.network import Network
from tasks.train.neural import Neural

WIDTH = 8
MODALITIES = {
    "meter": {"kind": "timeseries", "rate_hz": 10.0},
    "photo": {"kind": "image", "side_px": 8},
    "person": {"kind": "tabular", "numbers": ["age"], "categories": ["sex"]},
    "note": {"kind": "text", "max_chars": 16},
}
OUTPUTS = {
    "label": Output("classification", ("cat", "dog", "elk")),
    "signs": Output("multilabel", ("cough", "fever")),
    "size": Output("regression"),
}
TARGETS = {name: {"type": output.type} for name, output in OUTPUTS.items()}
HEADER = ["sample_id", "group", "timestamp", "photo_file_name", "meter_file_name", "note", "age", "sex"]
WORDS = ("a tame one", "seen at dusk", "none of these", "it ran away")

Raw = dict[str, bytes | None]


def params(of: Sequence[str] = tuple(MODALITIES)) -> Params:
    return check({"modalities": {name: MODALITIES[name] for name in of}, "targets": TARGETS})


def photo(rng: np.random.Generator, lighter: int = 0) -> bytes:
    file = io.BytesIO()
    Image.fromarray((rng.integers(0, 120, (8, 8)) + lighter).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def meter(rng: np.random.Generator, steps: int = 20, times: float = 1.0) -> bytes:
    values = times * (5 + rng.normal(size=steps))
    return "\n".join(f"{value:.6f}" for value in values).encode()


def raw(rng: np.random.Generator) -> Raw:
    row = f'{{"age":"{rng.integers(20, 60)}","sex":"{rng.choice(["f", "m"])}"}}'
    return {"meter": meter(rng), "photo": photo(rng), "person": row.encode(), "note": str(rng.choice(WORDS)).encode()}


def bundle(folder: Path, of: Sequence[str] = tuple(MODALITIES)) -> Bundle:
    """Write a bundle of some modalities into a folder."""
    drawn = [raw(np.random.default_rng(number)) for number in range(12)]
    torch.manual_seed(0)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(folder.parent):
        for name, modality in params(of).modalities.items():
            module, options = network_module(modality.kind), modality.options
            arrays = [kind_module(modality.kind).decode(sample[name] or b"", options) for sample in drawn]
            facts = module.fit_facts(arrays, options)
            network = module.Encoder(options, facts, WIDTH, 0.0)
            save_encoder(ENCODERS / name, EncoderCard(modality.kind, asdict(options), facts, WIDTH, {}, 0, []), network)
        Path("candidate").mkdir(exist_ok=True)
        fused = head("concat", of)
        fused.save(Path("candidate"))
        assemble(Path("candidate"), asdict(fused.card), params(of), {}, folder)
    return Bundle.load(folder)


def head(fusion: str, of: Sequence[str] = tuple(MODALITIES), **more: Any) -> Neural:
    """A network whose weights are drawn, bold enough to say something."""
    widths = dict.fromkeys(sorted(of), WIDTH)
    sizes = {name: output.width for name, output in OUTPUTS.items()}
    network = Network(fusion, widths, sizes, 16, 2, 0.0, **more)
    network.initialise(3)
    with torch.no_grad():
        for part in network.heads.values():
            part.weight.mul_(3)  # type: ignore[operator, union-attr]
    prior = {"label": [0.5, 0.3, 0.2], "signs": [0.4, 0.1]}
    settings = {"fusion": fusion, "width": 16, "heads": 2, "dropout": 0.0, "prior": prior, **more}
    settings["statistics"] = {"size": {"mean": 50.0, "deviation": 10.0}}
    return Neural(Card(fusion, "fusion", sorted(of), widths, described(OUTPUTS), network.size(), 0, [], settings), network)


def land(folder: Path, samples: Mapping[str, Raw], header: Sequence[str] = HEADER, **cells: Any) -> Landed:
    """Write samples as a batch of this name; `cells`: column -> a cell, or one per sample; what it overrides is not written."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, (sample, body) in enumerate(samples.items()):
        row = {"sample_id": sample, "group": f"g{number // 2}", "timestamp": str(1000 + number)}
        for name, suffix in {"photo": "png", "meter": "csv"}.items():
            if (data := body.get(name)) is not None:
                (folder / f"{sample}.{suffix}").write_bytes(data)
                row[f"{name}_file_name"] = f"{sample}.{suffix}"
        note = body.get("note")
        row |= {"note": note.decode() if note else ""}
        if table := body.get("person"):
            row |= json.loads(table)
        rows.append(row | {name: cell if isinstance(cell, str) else cell[number] for name, cell in cells.items()})
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*header, *(name for name in cells if name not in header)], restval="")
        writer.writeheader()
        writer.writerows(rows)
    return next(batch for batch in list_batches(str(folder.parent)) if batch.name == folder.name)


def drawn(count: int, seed: int = 7) -> dict[str, Raw]:
    """Whole samples by id."""
    rng = np.random.default_rng(seed)
    return {f"s{number:03d}": raw(rng) for number in range(count)}


def model(made: Bundle, **more: Any) -> Model:
    """A version of a bundle."""
    asked = contract(
        {
            name: {"kind": body["kind"], "options": {k: v for k, v in body.items() if k != "kind"}}
            for name, body in MODALITIES.items()
        },
        params().ingest,
    )
    about = {"targets": described(made.targets), "version": "v1.0.0"}
    return Model("v1.0.0", made, asked, **{"about": about, **more})


def scored(landed: Landed, by: Model, gone: Gone | None = None) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Predict a batch: its table, that of what is left out, and the facts."""
    folder = Path(landed.place).parent.parent
    tables = folder / f"{landed.name}.answers.parquet", folder / f"{landed.name}.left_out.parquet"
    _, facts = score_batch(landed, by, gone or Gone(), *tables)
    return *(pd.read_parquet(path) for path in tables), facts
