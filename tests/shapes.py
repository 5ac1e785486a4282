"""Coloured shapes with a line of text, some combinations of colour and shape never seen, and a bundle fitted to the others."""

import contextlib
import io
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from tasks.bundle import Bundle
from tasks.extract import Card, load_encoder, network_module, save_encoder
from tasks.features import Features
from tasks.params import Pretrain, Source, check
from tasks.paths import ENCODERS
from tasks.pretrain.fetch import fetch
from tasks.pretrain.fit import fit
from tasks.pretrain.objectives.batch import Head
from tasks.profile import kind_module
from tasks.select.assemble import assemble
from tasks.targets import read_target
from tasks.train.inputs import Inputs
from tasks.zero_shot import zero_shot
from tests.train.worlds import fitted

SIDE_PX = 20
COLOURS = {"red": (200, 50, 50), "green": (50, 170, 60), "blue": (60, 70, 210), "yellow": (210, 200, 50)}
SHAPES = ("disc", "square", "bar", "cross")
OPENINGS = ("a", "the", "one", "some", "this")

Pair = tuple[str, str]
PAIRS: list[Pair] = [(colour, shape) for colour in COLOURS for shape in SHAPES]


def held_out(split: int) -> list[Pair]:
    """Two colours and two shapes, each in both: one of them alone tells half."""
    rng = np.random.default_rng([split, 17])
    colours, shapes = (sorted(rng.choice(names, 2, replace=False).tolist()) for names in (list(COLOURS), SHAPES))
    return [(colour, shape) for colour in colours for shape in shapes]


def picture(pair: Pair, rng: np.random.Generator) -> bytes:
    """A PNG of the shape, somewhere, on a darker or a lighter ground."""
    colour, shape = pair
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX] - rng.uniform(7, 12, 2)[:, None, None]
    size = rng.uniform(4, 6)
    where = {
        "disc": y**2 + x**2 < size**2,
        "square": np.maximum(abs(y), abs(x)) < size * 0.9,
        "bar": (abs(y) < size * 0.35) & (abs(x) < size * 1.3),
        "cross": (np.minimum(abs(y), abs(x)) < size * 0.3) & (np.maximum(abs(y), abs(x)) < size * 1.2),
    }[shape]
    pixels = np.full((SIDE_PX, SIDE_PX, 3), rng.uniform(90, 160)) + rng.normal(0, 12, (SIDE_PX, SIDE_PX, 3))
    pixels[where] += np.array(COLOURS[colour]) - 125 + rng.normal(0, 10, 3)
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def line(pair: Pair, rng: np.random.Generator) -> bytes:
    """A few words that name colour and shape."""
    return f"{rng.choice(OPENINGS)} {pair[0]} {pair[1]}".encode()


def drawn(pairs: list[Pair], count: int, seed: list[int]) -> tuple[np.ndarray, dict[str, list[bytes]]]:
    """Numbers of pairs, int64 [count], and raw samples of them."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, len(pairs), count)
    return numbers, {make.__name__: [make(pairs[n], rng) for n in numbers] for make in (picture, line)}


def encoders(raw: dict[str, list[bytes]], labels: np.ndarray, seed: int, pretrain: Pretrain, text: Source | None) -> None:
    """Fit an encoder per modality to the labels, or take the text's from elsewhere."""
    asked = {"picture": {"kind": "image", "channels": 3, "side_px": SIDE_PX}, "line": {"kind": "text", "max_chars": 32}}
    if text:
        asked["line"]["encoder"] = asdict(text)
    params = check({"modalities": asked, "targets": {"label": {}}})
    heads = {"label": Head(read_target("label", {}), int(labels.max()) + 1)}
    for name, modality in params.modalities.items():
        if modality.encoder:
            facts, width, network = fetch(modality, modality.encoder)
            card = Card(modality.kind, asdict(modality.options), facts, width, {}, 0, [], asdict(modality.encoder))
        else:
            arrays = [kind_module(modality.kind).decode(data, modality.options) for data in raw[name]]
            module = network_module(modality.kind)
            done = fit(module, modality.options, arrays, {"label": labels}, heads, pretrain, seed, name)
            network, card = done.network, Card(modality.kind, asdict(modality.options), done.facts, pretrain.width, {}, 0, [])
        save_encoder(ENCODERS / name, card, network)


def bundle(split: int, samples: int, epochs: int = 15, width: int = 64, text: Source | None = None, **knobs: object) -> Bundle:
    """Encoders, a fusion and the bundle of them in the current folder, which have seen the other combinations alone."""
    seen = [pair for pair in PAIRS if pair not in held_out(split)]
    labels, raw = drawn(seen, samples, [split, 1])
    held, other = drawn(seen, samples // 4, [split, 2])
    with contextlib.redirect_stdout(io.StringIO()):
        encoders(raw, labels, split, Pretrain(epochs=epochs, width=width), text)
    teaching, val = (
        Inputs(pa.table({"label": numbers}), {m: encoded(m, items) for m, items in sorted(part.items())})
        for numbers, part in ((labels, raw), (held, other))
    )
    candidate = fitted(teaching, val, seed=split, **{"align": 1.0, **knobs})
    folder = Path("candidate")
    folder.mkdir(exist_ok=True)
    candidate.save(folder)
    kinds = {m: {"kind": load_encoder(ENCODERS / m).card.kind} for m in raw}
    assemble(folder, asdict(candidate.card), check({"modalities": kinds, "targets": {"label": {}}}), {}, Path("bundle"))
    return Bundle.load(Path("bundle"))


def encoded(modality: str, items: list[bytes]) -> Features:
    """Features by the encoder of the current folder."""
    return load_encoder(ENCODERS / modality).encode(items)


def accuracy(model: Bundle, split: int, count: int, among: list[Pair] | None = None) -> float:
    """How often a picture of an unseen combination is told, among the unseen ones or others as well, by descriptions alone."""
    unseen = held_out(split)
    among = among or unseen
    numbers, raw = drawn(unseen, count, [split, 3])
    words = [f"a {colour} {shape}".encode() for colour, shape in among]
    answers = zero_shot(model, {"picture": raw["picture"]}, {"line": words}).argmax(axis=1)
    return float(np.mean([among[answer] == unseen[number] for answer, number in zip(answers, numbers, strict=True)]))
