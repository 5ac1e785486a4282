"""`python -m tasks.score FILE…`: which word is what, what is answered, and what the exit codes mean."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tasks.bundle import Bundle
from tasks.errors import ContractBroken, UnknownName
from tasks.params import check
from tasks.score.__main__ import main
from tasks.score.files import samples
from tests.score import small

MODALITIES = check(
    {
        "modalities": {
            "clip": {"kind": "audio"},
            "left": {"kind": "image"},
            "right": {"kind": "image"},
            "person": {"kind": "tabular", "numbers": ["age"], "categories": ["sex"]},
            "note": {"kind": "text"},
        },
        "targets": {"label": {}},
    }
).modalities


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png", "c.WAV", "n.txt", "odd.bin", "row.json"):
        Path(name).write_bytes(f"bytes of {name}".encode())
    Path("row.json").write_text('{"age": 7, "sex": null}')


def read(*words: str) -> list[dict[str, bytes]]:
    return [{m: given.data for m, given in sample.items()} for sample in samples(words, MODALITIES)]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["left=a.png"], {"left": b"bytes of a.png"}),
        (["left=odd.bin"], {"left": b"bytes of odd.bin"}),  # what is named need not have a suffix that is known
        (["c.WAV"], {"clip": b"bytes of c.WAV"}),
        (["note=n.txt"], {"note": b"bytes of n.txt"}),
        (["n.txt"], {"note": b"bytes of n.txt"}),
        (["note=no finding"], {"note": b"no finding"}),
        (["note=seven"], {"note": b"seven"}),
        (["note=a=b"], {"note": b"a=b"}),
        ([f"note={'肺に影' * 100}"], {"note": ("肺に影" * 100).encode()}),  # no blank, and too long for a file's name
        (["age=47", "sex=f"], {"person": b'{"age":"47","sex":"f"}'}),
        (["sex=f"], {"person": b'{"age":null,"sex":"f"}'}),
        (["person=row.json"], {"person": b'{"age":"7","sex":null}'}),
        (["row.json"], {"person": b'{"age":"7","sex":null}'}),
        (["left=a.png", "right=", "c.WAV"], {"left": b"bytes of a.png", "clip": b"bytes of c.WAV"}),
    ],
)
def test_words_become_a_sample(words: list[str], wanted: dict[str, bytes]) -> None:
    assert read(*words) == [wanted]


def test_several_of_each_are_several_samples() -> None:
    assert read("left=a.png", "left=b.png", "note=one", "note=two") == [
        {"left": b"bytes of a.png", "note": b"one"},
        {"left": b"bytes of b.png", "note": b"two"},
    ]


@pytest.mark.parametrize(
    ("words", "error", "says"),
    [
        (
            ["a.png"],
            ContractBroken,
            r"'a.png' may be left or right: say which, e.g. left=a.png. Modalities: clip \(audio: .wav",
        ),
        (["odd.bin"], ContractBroken, r"'odd.bin' is no modality's by its suffix: say which"),
        (["front=a.png"], UnknownName, r"unknown modality or column 'front'; known: age, clip, left, note, person, right, sex"),
        (["front=" + "a" * 300], UnknownName, r"unknown modality or column 'front'"),
        (["left=" + "a" * 300], ContractBroken, r"cannot be read: File name too long"),
        (["left=none.png"], ContractBroken, r"left=none.png cannot be read: No such file"),
        (["left=."], ContractBroken, r"left=. cannot be read: Is a directory"),
        (["note=none.txt"], ContractBroken, r"note=none.txt cannot be read: No such file"),
        (["person=a.png"], ContractBroken, r"person=a.png must be a JSON object of column: value"),
        (["left=a.png", "left=b.png", "c.WAV"], ContractBroken, r"as many of each modality, got 2 of left, 1 of clip"),
        (["age=1", "age=2"], ContractBroken, r"age is given twice"),
        (["left="], ContractBroken, r"nothing is given of clip, left, note, person, right: e.g. clip=file.wav"),
    ],
)
def test_a_mistake_is_told(words: list[str], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        read(*words)


@pytest.fixture
def photo() -> str:
    Path("p.png").write_bytes(small.photo(np.random.default_rng(0)))
    return "p.png"


def test_a_sample_is_answered_with_class_probability_and_shares(
    bundle: Bundle, photo: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--bundle", str(bundle.folder), photo, "note=seen at dusk", "age=47"]) == 0
    row = b'{"age":"47","sex":null}'
    said = bundle.predict_raw({"photo": [Path(photo).read_bytes()], "note": [b"seen at dusk"], "person": [row]})
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert set(lines) == {"label", "signs", "size"}
    best = said["label"][0].argmax()
    assert re.match(
        rf"label  {('cat', 'dog', 'elk')[best]}  {said['label'][0][best]:.3f}  meter missing  note [+-]0\.", lines["label"]
    )
    assert lines["size"].split()[1] == f"{said['size'][0, 0]:.6g}"
    shares = [float(part) for part in re.findall(r"[+-]\d+\.\d{3}", lines["size"])]
    assert sum(shares) == pytest.approx(said["size"][0, 0] - 50, abs=0.002)


def test_several_samples_are_lines_of_json_and_what_cannot_be_read_is_told(
    bundle: Bundle, photo: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("broken.png").write_bytes(b"\x89PNG")
    assert main(["--json", "--bundle", str(bundle.folder), photo, "broken.png", photo]) == 3
    out, error = capsys.readouterr()
    first, second = (json.loads(line) for line in out.splitlines())
    assert first == second
    assert first["given"] == {"photo": "p.png"}
    assert first["missing"] == "meter|note|person"
    assert first[f"label__{first['label']}"] == first["score of label"]
    assert "nightloom: photo=broken.png: not a readable image" in error
    assert main(["--bundle", str(bundle.folder), "broken.png"]) == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--bundle", "nowhere", "x.png"], "nowhere holds no bundle"),
        (["x.png"], "no repository at .*central.git: `make run` creates it"),
        (["--version", "v9.0.0", "x.png"], "no repository at"),
    ],
)
def test_without_a_model_it_says_how_to_get_one(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NIGHTLOOM_HOME", "NIGHTLOOM_CENTRAL"):
        monkeypatch.delenv(name, raising=False)
    assert main(words) == 2
    assert re.search(f"^nightloom: {says}", capsys.readouterr().err)
