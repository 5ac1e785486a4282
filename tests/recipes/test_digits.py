"""The default sample, judged by logistic regression: each modality alone falls short, together they do well."""

import csv
import io
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from data.recipes.digits import dial, typed
from data.recipes.digits import generate as recipe

Row = dict[str, str]


def generate(*words: str) -> str:
    """Run the recipe as a person does."""
    command = [sys.executable, "-m", "data.recipes.digits.generate", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    for night in (1, 2):
        recipe.land(night, folder)
    return folder


def rows(batch: Path) -> list[Row]:
    with (batch / "metadata.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def pixels(batch: Path, row: Row) -> npt.NDArray[np.float64]:
    with Image.open(batch / row["image_file_name"]) as picture:
        return np.asarray(picture, dtype=float).ravel() / 255


def tones(batch: Path, row: Row) -> npt.NDArray[np.float64]:
    """Log energy around the seven tones of a keypad, by Goertzel-like projection of 50 ms windows: mean and maximum."""
    with wave.open(io.BytesIO((batch / row["audio_file_name"]).read_bytes())) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        signal = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    windows = signal.reshape(-1, 400)
    wave_table = np.exp(-2j * np.pi * np.outer(np.arange(400) / 8000, [697, 770, 852, 941, 1209, 1336, 1477]))
    energy = np.abs(windows @ wave_table) ** 2
    return np.log(np.concatenate([energy.mean(axis=0), energy.max(axis=0)]) + 1e-6)


def features(batch: Path) -> tuple[dict[str, npt.NDArray[np.float64]], npt.NDArray[np.int64], list[str]]:
    """Features of the complete cases by modality, their labels and groups."""
    complete = [r for r in rows(batch) if r["image_file_name"] and r["audio_file_name"] and r["text"]]
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 3), max_features=300)
    spelled = letters.fit_transform([r["text"].lower() for r in complete]).toarray()
    found = {
        "image": np.stack([pixels(batch, r) for r in complete]),
        "audio": np.stack([tones(batch, r) for r in complete]),
        "text": spelled,
    }
    return found, np.array([int(r["label"]) for r in complete]), [r["group"] for r in complete]


def accuracy(x: npt.NDArray[np.float64], y: npt.NDArray[np.int64], test: npt.NDArray[np.bool_], strength: float) -> float:
    scale = StandardScaler().fit(x[~test])
    model = LogisticRegression(C=strength, max_iter=200).fit(scale.transform(x[~test]), y[~test])
    return float(model.score(scale.transform(x[test]), y[test]))


def test_each_modality_alone_falls_short_and_fusing_clearly_wins(landing: Path) -> None:
    found, y, groups = features(landing / "night-1")
    test = np.array([int(g[-4:]) % 4 == 0 for g in groups])
    alone = {name: accuracy(x, y, test, 0.01) for name, x in found.items()}
    fused = accuracy(np.hstack(list(found.values())), y, test, 0.01)
    assert all(0.55 <= value <= 0.85 for value in alone.values()), alone
    assert fused >= max(alone.values()) + 0.05


@pytest.mark.parametrize(
    ("digit", "pair"),
    [(1, (697, 1209)), (5, (770, 1336)), (6, (770, 1477)), (7, (852, 1209)), (9, (852, 1477)), (0, (941, 1336))],
)
def test_a_key_is_the_two_tones_of_the_standard(digit: int, pair: tuple[int, int]) -> None:
    spectrum = np.abs(np.fft.rfft(dial.pressed(digit, np.random.default_rng(0)), 80_000))  # 0.1 Hz a bin
    low, high = np.argmax(spectrum[6_000:10_500]) + 6_000, np.argmax(spectrum[10_500:17_000]) + 10_500
    np.testing.assert_allclose([low / 10, high / 10], pair, rtol=0.02)  # at most 1.5 % out of tune


def test_a_slip_of_the_finger_is_on_a_neighbouring_key() -> None:
    assert (typed.neighbours(5), typed.neighbours(0), typed.neighbours(9)) == ([2, 4, 6, 8], [8], [6, 8])
    assert all(len(set(words.split())) == 10 for words in typed.WORDS.values())


def test_the_label_is_the_digit_of_the_source_image(landing: Path) -> None:
    truth = load_digits().target
    assert all(truth[int(r["group"].removeprefix("uci-"))] == int(r["label"]) for r in rows(landing / "night-1"))


def test_a_night_made_again_has_the_same_bytes(landing: Path, tmp_path: Path) -> None:
    generate("--night", "2", "--to", str(tmp_path))
    first, again = (
        {p.relative_to(f): p.read_bytes() for p in f.rglob("*.*")} for f in (landing / "night-2", tmp_path / "night-2")
    )
    assert first == again


def test_next_lands_what_has_not_landed_yet_and_says_when_all_have(tmp_path: Path) -> None:
    for night in (1, 2, 4, 5, 6):
        (tmp_path / f"night-{night}").mkdir()
    assert "landed before; it stays" in generate("--night", "2", "--to", str(tmp_path))
    assert "night-3: 360 samples of 180 digits" in generate("--night", "next", "--to", str(tmp_path))
    assert "all 6 nights of the sample have landed" in generate("--night", "next", "--to", str(tmp_path))
    assert [p.name for p in sorted(tmp_path.iterdir())] == [f"night-{n}" for n in range(1, 7)]  # nothing temporary is left


def test_no_source_image_is_in_two_nights(landing: Path) -> None:
    first, second = ({r["group"] for r in rows(landing / f"night-{n}")} for n in (1, 2))
    assert not first & second
    assert (len(first), len(second)) == (897, 180)


def test_some_of_each_modality_is_missing_but_never_all(landing: Path) -> None:
    table = rows(landing / "night-1")
    columns = ("image_file_name", "audio_file_name", "text")
    for column in columns:
        assert 0.05 < sum(not r[column] for r in table) / len(table) < 0.11
    assert all(any(r[c] for c in columns) for r in table)
    assert all((landing / "night-1" / r[c]).is_file() for r in table for c in columns[:2] if r[c])
