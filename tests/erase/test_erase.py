import io
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.erase import erase
from tasks.erase.__main__ import main, told
from tasks.erase.find import Wanted, tells
from tasks.erase.marks import marks
from tasks.errors import NoData, Refused, WrongValue
from tasks.files import read_json, write_json
from tasks.promote import registry
from tasks.run.git import git
from tasks.tables import SAMPLES, write_parquet
from tests.erase.nights import GONE, OTHER, base, crown, night, nights
from tests.run.conftest import Project, project
from tests.run.test_open import close, land, opening, show

__all__ = ["base", "nights", "project"]


def holding(project: Project, sample: str = GONE) -> list[str]:
    """Every file below home that tells of a sample, read by other means than the code under test."""
    return sorted(str(p.relative_to(project.settings.home)) for p in _files(project) if _tells(p.read_bytes(), sample))


def _files(project: Project) -> Iterator[Path]:
    for place in ("remote", "cache", "reports"):
        yield from (p for p in (project.settings.home / place).rglob("*") if p.is_file())


def _tells(content: bytes, sample: str) -> bool:
    if content[:4] == b"PAR1":
        return sample in pq.read_table(io.BytesIO(content)).to_pandas().to_csv()
    return sample.encode() in content


def test_nothing_of_the_sample_is_left_and_everything_of_the_others_is(nights: Project) -> None:
    s = nights.settings
    memo = s.home / "remote/memo" / ("b" * 64)
    index = show(nights, "refs/heads/nightly", "data/1_raw.json")["batches"]
    partitions = {b["name"]: b["partitions"]["a"][0]["md5"] for b in index if "a" in b["partitions"]}
    memo.mkdir(parents=True)
    for md5 in partitions.values():
        (memo / f"{md5}-{'0' * 32}-00000000.parquet").touch()
    said = pa.table({"sample_id": [GONE, OTHER], "label": ["x", "y"]})
    predictions = s.home / "remote/predictions"
    write_parquet(predictions / "v1.1.0/to-score-00000000.parquet", said)
    facts = {"batch": "to-score", "reasons": [[f"sample_id {GONE!r} stands in 2 rows", 2]]}
    write_json(predictions / "facts/v1.1.0/to-score-00000000.json", facts)
    before = holding(nights)
    assert len(before) > 10

    looked = erase(s, [GONE], "", yes=False)
    assert holding(nights) == before  # a look changes nothing
    assert sorted(looked.raw.values()) == sorted(p for p in _paths(index) if "night-1" in p or "late" in p)
    assert looked.roles == {"v1.1.0": ["split train"], "v1.2.0": ["split train"]}
    assert looked.landed == ["late/events.csv", "night-1/metadata.csv"]
    lines = "\n".join(told(s, looked, False))
    assert "v1.1.0: not reproducible: erased data (split train)" in lines
    assert "would go: their rows in 2 files of predictions" in lines
    assert "nothing was changed" in lines
    assert "2 uploads" in told(s, replace(looked, uploads=["2 uploads"]), False)

    half = Path(s.remote) / "files/md5/00/.killed.tmp"  # of a push that died, with who knows what in it
    half.parent.mkdir(exist_ok=True)
    half.write_text(GONE)
    erase(s, [GONE], "consent revoked", yes=True, idle=True)
    assert not half.exists()
    assert holding(nights) == []
    assert pq.read_table(predictions / "v1.1.0").to_pylist() == [{"sample_id": OTHER, "label": "y"}]
    assert read_json(predictions / "facts/v1.1.0/to-score-00000000.json") == {"batch": "to-score", "reasons": []}
    assert [path.name.split("-")[0] for path in memo.iterdir()] == [partitions["night-0"]]
    tip = git("log", "-1", "--format=%B", "refs/heads/nightly", cwd=Path(s.central))
    assert tip.startswith("erase: 1 sample: consent revoked\n\nWork: profile@a decoded=3\nErased: sha256:")
    assert GONE not in git("log", "--all", "-p", cwd=Path(s.central))
    rows = {(b["name"], m): p["rows"] for b in show(nights, "refs/heads/nightly", "data/1_raw.json")["batches"]
            for m, parts in b["partitions"].items() for p in parts}  # fmt: skip
    assert rows == {("night-0", m): 1 for m in ("a", "b", "samples")} | {("night-1", m): 1 for m in ("a", "b", "samples")} | {
        ("late", "events"): 1
    }

    night(nights, "r3")  # goes on with what is left
    assert holding(nights) == []
    assert any("samples" not in path for path in holding(nights, OTHER))


def _paths(index: list) -> list[str]:
    return [p["path"] for batch in index for parts in batch["partitions"].values() for p in parts]


def test_versions_that_held_it_are_marked_once_and_the_others_reproduce(nights: Project, monkeypatch) -> None:
    from dvc.repo import Repo

    from tasks.reproduce import reproduce
    from tasks.reproduce.__main__ import main as reproduce_main
    from tasks.run.workspace import workspace

    s = nights.settings
    for _ in range(2):
        erase(s, [GONE], "consent revoked", yes=True, idle=True)
    found = marks(s.central)
    assert [tag.name for tag in found] == ["fused-model#erased#1", "fused-model#erased#2"]
    versions = registry.versions(s.central)
    assert {tag.commit for tag in found} == {versions[v].commit for v in ("v1.1.0", "v1.2.0")}
    assert all(tag.trailers["Erased"] == "not reproducible: erased data" for tag in found)
    assert registry.history(s.central) == []
    with pytest.raises(Refused, match=r"fused-model@v1\.1\.0 is not reproducible: erased data"):
        reproduce(s, "v1.1.0")
    monkeypatch.setenv("NIGHTLOOM_HOME", str(s.home))
    with pytest.raises(SystemExit) as ended:
        reproduce_main(["v1.2.0"])
    assert ended.value.code == 2
    with workspace(s, versions["v1.0.0"].commit, "pull", s.home / "empty") as folder, Repo(str(folder)) as repo:
        repo.pull()
        assert (folder / "data/3_manifest/samples.parquet").is_file()
    for version in ("v1.1.0", "v1.2.0"):  # weights stay
        with workspace(s, versions[version].commit, "pull", s.home / "empty") as folder, Repo(str(folder)) as repo:
            repo.pull(targets=[str(folder / "data/5_models/bundle")])
            assert (folder / "data/5_models/bundle/bundle.json").is_file()


def test_the_champions_pinned_manifest_goes_too_and_nights_go_on_without_it(nights: Project) -> None:
    s = nights.settings
    crown(nights, "v1.1.0")
    land(nights, "night-3", ["s3,x,three,threefold"])
    night(nights, "r3")

    def pinned() -> list[str]:
        pins = git("ls-tree", "--name-only", "nightly", "data/", cwd=Path(s.central)).splitlines()
        return [
            re.findall(r"md5: (\w+)", git("show", f"nightly:{pin}", cwd=Path(s.central)))[0]
            for pin in pins
            if "_manifest" in pin
        ]

    commit = registry.versions(s.central)["v1.1.0"].commit
    lock = git("show", f"{commit}:dvc.lock", cwd=Path(s.central))
    of = re.findall(r"path: data/3_manifest\n\s+hash: md5\n\s+md5: (\w+\.dir)", lock)[-1]
    assert [f"{md5}.dir" for md5 in pinned()] == [of, of]
    erase(s, [GONE], "consent revoked", yes=True, idle=True)
    assert holding(nights) == []
    assert pinned() == []
    night(nights, "r4")
    assert holding(nights) == []
    assert of not in [f"{md5}.dir" for md5 in pinned()] != []


def test_killed_anywhere_it_is_finished_by_running_it_again(nights: Project, monkeypatch) -> None:
    from tasks import erase as module
    from tasks.erase.stores import Stores

    class Killed(Exception):
        pass

    steps: list[str] = []

    def dying(name: str, step: Callable, after: int) -> Callable:
        def wrapped(*args: object) -> object:
            if len(steps) == after:
                raise Killed
            steps.append(name)
            return step(*args)

        return wrapped

    for after in (1, 2, 5, 6, 7):  # of eight steps: rewrite, mark, MLflow, memo, derived and raw objects of two stores
        steps.clear()
        with monkeypatch.context() as patch:
            for name in ("rewrite", "mark", "drop_artifacts"):
                patch.setattr(module, name, dying(name, getattr(module, name), after))
            for name in ("drop_memo", "drop"):
                patch.setattr(Stores, name, dying(name, getattr(Stores, name), after))
            with pytest.raises(Killed):
                erase(nights.settings, [GONE], "x", yes=True, idle=True)
        assert holding(nights)
    erase(nights.settings, [GONE], "x", yes=True, idle=True)
    assert holding(nights) == []
    assert len(marks(nights.settings.central)) == 2
    subjects = git("log", "--format=%s", "--first-parent", "refs/heads/nightly", cwd=Path(nights.settings.central))
    assert subjects.count("erase: ") == 1


def test_an_erased_sample_that_lands_again_is_refused_and_its_batch_is_not_read_again(nights: Project) -> None:
    erase(nights.settings, [GONE], "x", yes=True, idle=True)
    night(nights, "r3")
    os.utime(nights.settings.home / "landing/night-1/metadata.csv", (1, 1))
    assert "no batch landed" in opening(nights, "r4")["nothing"]
    land(nights, "night-1", [f"{OTHER},y,three,four"])  # the user has deleted the row, as told
    assert "no batch landed" in opening(nights, "r5")["nothing"]
    land(nights, "night-9", [f"{GONE},x,one,two", "s9,y,five,six"])
    opened = opening(nights, "r6")
    assert show(nights, opened["commit"], "data/batches.json")["batches"][-1]["refused"] == 1
    assert holding(nights) == []
    assert any("samples" in path or "files" in path for path in holding(nights, "s9"))


def test_what_cannot_be_done_says_why(project: Project, monkeypatch, capsys) -> None:
    s = project.settings
    with pytest.raises(NoData, match="no night was closed yet, so nothing was accepted"):
        erase(s, [GONE], "x", yes=True)
    with pytest.raises(WrongValue, match="which samples"):
        erase(s, [], "x", yes=False)
    with pytest.raises(WrongValue, match="why"):
        erase(s, [GONE], " ", yes=True)
    land(project, "night-1", [f"{GONE},x,one,two"])
    close(project, opening(project, "r1")["commit"])
    with pytest.raises(Refused, match=r"run r1 was opened 0\.0 hours ago and has not been closed: .* add --idle"):
        erase(s, [GONE], "x", yes=True)
    monkeypatch.setenv("NIGHTLOOM_HOME", str(s.home))
    monkeypatch.chdir(project.checkout)
    with pytest.raises(SystemExit) as ended:
        main([GONE, "--reason", "x", "--yes"])
    assert ended.value.code == 2
    main(["nobody"])
    assert "nothing here holds these samples" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        (b'{"reason": "sample_id \'a-1\' stands twice"}', 1),
        (b'{"reason": "sample_id \'a-11\' stands twice"}', 0),
        (json.dumps({"x": ["na\u00efve"]}).encode(), 0),
        (b"\x89PNG a-1 \xff", 0),
        (b"PAR1 is no table", 0),
        ((64).to_bytes(8, "little") + b'{"tokens":{}}'.ljust(64), 0),
    ],
)
def test_an_object_is_judged_by_what_it_holds(content: bytes, answer: int) -> None:
    assert tells(io.BytesIO(content), len(content), Wanted(frozenset({"a-1"}))) == answer


def test_a_column_names_samples_only_where_it_says_so_of_itself() -> None:
    twin, lists = pa.field("neighbour", pa.string()), pa.field("label", pa.list_(pa.int64()))
    rows = {"sample_id": ["b-2"], "neighbour": ["a-1"], "label": [[0, 1]]}
    for field, answer in ((twin, 0), (twin.with_metadata(SAMPLES), 2)):  # the first is what somebody landed
        sink = io.BytesIO()
        pq.write_table(pa.table(rows, pa.schema([pa.field("sample_id", pa.string()), field, lists])), sink)
        for sample, wanted in (("a-1", answer), ("b-2", 2), ("c-3", 0)):
            assert tells(io.BytesIO(sink.getvalue()), sink.tell(), Wanted(frozenset({sample}))) == wanted


def test_text_in_json_is_found_as_it_was_given() -> None:
    content = json.dumps({"x": ["na\u00efve"]}).encode()
    assert tells(io.BytesIO(content), len(content), Wanted(frozenset({"na\u00efve"}))) == 1
