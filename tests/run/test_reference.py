"""What encoders are fitted on: what moves it, what does not, and the shadow runs that have to earn it."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import Refused, UnknownName
from tasks.gate.row import told
from tasks.index import Batch, read_index, write_index
from tasks.ingest import ingest
from tasks.ingest.erased import read_erased
from tasks.ingest.landing import look
from tasks.params import Params, check
from tasks.paths import INDEX, RAW, REFERENCE
from tasks.promote.announce import tag_object
from tasks.run import reference
from tasks.run.close import close
from tasks.run.git import git
from tasks.run.pins import bundle_entry
from tests.run.conftest import Project, create
from tests.run.test_close import admitted, central
from tests.run.test_open import land, opening, show
from tests.run.test_stage import run

DVC_YAML = """
stages:
  select:
    cmd: mkdir -p data/5_models && cp data/reference.json data/5_models/bundle
    deps: [data/reference.json]
    outs: [data/5_models/bundle]
  gate:
    cmd: mkdir -p data/6_reports && cp verdict.json data/6_reports/verdict.json
    deps: [data/5_models/bundle, verdict.json]
    outs: [data/6_reports/verdict.json]
"""


def rows(name: str, labels: Sequence[str], each: int = 12) -> list[str]:
    """Enough samples of each label to be in train, each a group of its own."""
    return [f"{name}-{label}-{n},{label},one,two" for label in labels for n in range(each)]


class Nights:
    """Batches and the reference in the working directory, without a run around them."""

    def __init__(self, landing: Path, classes: Sequence[str] = ()) -> None:
        self.landing = landing
        self.params: Params = check({"modalities": {"a": {"kind": "text"}}, "targets": {"label": {"classes": list(classes)}}})
        self.batches: list[Batch] = []
        self.header = "sample_id,label,a,b"

    def night(self, **landed: Sequence[str]) -> str:
        """Land batches; what moved, if anything did."""
        for name, lines in landed.items():
            folder, file = self.landing / name, "events.csv" if lines[0].startswith("sample_id,event") else "metadata.csv"
            folder.mkdir(parents=True)
            (folder / file).write_text("\n".join(lines if file == "events.csv" else [self.header, *lines]) + "\n")
        found = {one.name: one for one in look(str(self.landing)).batches}
        self.batches += [ingest(found[name], self.params, RAW, read_erased(Path("nobody"))).batch for name in landed]
        write_index(self.batches, INDEX)
        return reference.move(Path(), self.params, list(landed))

    @property
    def names(self) -> list[str]:
        return [batch.name for batch in read_index(REFERENCE)]

    def recent(self, *of: str) -> list[str]:
        before = [batch for batch in self.batches if batch.name in of]
        return [batch.name for batch in reference.recent(self.batches, before, self.params)]


@pytest.fixture
def nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Nights:
    monkeypatch.chdir(tmp_path)
    return Nights(tmp_path / "landing")


def test_a_class_that_the_encoders_do_not_know_moves_the_reference_in_that_very_run(nights: Nights) -> None:
    assert nights.night(n1=rows("n1", "xy")) == ""
    assert nights.night(n2=rows("n2", "xy")) == ""
    assert nights.names == ["n1"]
    assert nights.night(n3=rows("n3", "xz")) == "new classes: label z: all accepted batches"
    assert nights.names == ["n1", "n2", "n3"]
    assert nights.night(n4=rows("n4", "xyz")) == ""
    assert nights.names == ["n1", "n2", "n3"]


def test_a_slip_of_the_pen_moves_nothing(nights: Nights) -> None:
    nights.night(n1=rows("n1", "xy"))
    assert nights.night(n2=[*rows("n2", "x"), *rows("n2", "z", each=7)]) == ""
    assert nights.names == ["n1"]


def test_a_closed_list_of_classes_is_nobodys_to_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    nights = Nights(tmp_path / "landing", ["x", "y"])
    nights.night(n1=rows("n1", "xy"))
    assert nights.night(n2=rows("n2", "xz")) == ""


def test_a_class_that_comes_little_by_little_counts_over_all_batches(nights: Nights) -> None:
    nights.night(n1=rows("n1", "xy"))
    assert nights.night(n2=rows("n2", "z", each=7)) == ""
    assert nights.night(n3=rows("n3", "z", each=7)) == "new classes: label z: all accepted batches"


def test_a_class_that_comes_as_late_labels_counts_too(nights: Nights) -> None:
    nights.night(n1=rows("n1", "xy", each=24))
    late = ["sample_id,event,value", *(f"n1-x-{n},label,w" for n in range(12))]
    assert nights.night(late=late) == "new classes: label w: all accepted batches"
    assert nights.names == ["n1", "late"]


def test_batches_that_land_together_are_one_night_and_all_their_classes_are_learned(nights: Nights) -> None:
    nights.night(n1=rows("n1", "xy"), n2=rows("n2", "z"))
    assert nights.names == ["n1", "n2"]


def test_recent_is_the_newest_with_as_many_rows_and_every_class_and_all_events(nights: Nights) -> None:
    nights.night(n1=rows("n1", "xy"), gone=["sample_id,event,value", "n1-x-0,withdrawn,"], n2=rows("n2", "xy"))
    nights.night(n3=rows("n3", "x"), n4=rows("n4", "x"))
    assert nights.recent("n1", "gone") == ["gone", "n2", "n3", "n4"]  # n3 and n4 hold as many rows, but no y
    nights.night(n5=rows("n5", "xy"))
    assert nights.recent("n1", "gone") == ["gone", "n5"]
    assert nights.recent("n1", "gone", "n2") == ["gone", "n3", "n4", "n5"]


def test_of_a_table_that_is_split_by_time_recent_is_all(nights: Nights) -> None:
    nights.header = "sample_id,label,timestamp,a,b"
    for number in (1, 2):
        nights.night(**{f"n{number}": [f"s{number}{i},{'xy'[i % 2]},{number}{i:02},one,two" for i in range(30)]})
    assert nights.recent("n1") == ["n1", "n2"]  # by rows and classes n2 would do


def judged(project: Project, opened: dict[str, Any]) -> None:
    """Let a run be judged without its stages."""
    parents = central(project, "log", "-1", "--format=%P", opened["commit"]).split()
    words = [word for parent in parents for word in ("-p", parent)]
    message, place = f"reject: told\n\nRun: {opened['run']}\n", Path(project.settings.central)
    commit = git("commit-tree", f"{opened['commit']}^{{tree}}", *words, stdin=message, cwd=place)
    central(project, "update-ref", "refs/heads/nightly", commit)


def closed(project: Project, opened: dict[str, Any]) -> dict[str, Any]:
    done: dict[str, Any] = {}
    for stage in opened["stages"]:
        done[stage] = run(project, opened["commit"], stage, done)
    return close(project.settings, opened, done, admitted())


def crown(project: Project, commit: str, number: int) -> None:
    """Let a closed run's bundle reign."""
    place = Path(project.settings.central)
    trailers = {"Run": "r", "Bundle": str(bundle_entry(place, commit)["md5"])}
    for name in (f"fused-model@v1.0.{number - 1}", f"fused-model#champion#{number}"):
        central(project, "update-ref", f"refs/tags/{name}", tag_object(place, name, commit, number, "x", trailers))


def quiet(project: Project) -> Project:
    """Without MLflow."""
    return replace(project, settings=replace(project.settings, mlflow="nowhere://"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A champion of the first night, and a night after it; made once, each stage is a process of its own."""
    folder = tmp_path_factory.mktemp("base")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        project = quiet(create(folder))
        with (project.checkout / ".gitignore").open("a") as ignored:
            ignored.write("/data/5_models\n")
        project.commit(dvc_yaml=DVC_YAML)
        land(project, "n1", rows("n1", "xy"))
        assert "nothing" in opening(project, "s", shadow=True)  # there is no champion yet
        first = closed(project, opening(project, "n1", overrides=["shadow.nights=1"]))
        assert first["shadow"]  # one night was judged
        crown(project, first["commit"], 1)
        land(project, "n2", rows("n2", "xy"))
        judged(project, opening(project, "n2"))
    return folder


@pytest.fixture
def reigned(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return quiet(create(tmp_path, of=base))


def fitted(project: Project, commit: str) -> list[str]:
    return [batch["name"] for batch in show(project, commit, "data/reference.json")["batches"]]


def verdict(project: Project, word: str) -> None:
    row = told("champion", True, "rule", "fail", "0.900 against 0.930 of v1.0.0: difference -0.030").as_json()
    project.commit(verdict_json=json.dumps({"verdict": word, "decided_by": "champion", "rows": [row]}))


def test_a_shadow_that_loses_changes_nothing_and_the_diary_says_by_how_much(reigned: Project) -> None:
    before = central(reigned, "rev-parse", "nightly^{tree}")
    verdict(reigned, "reject")
    land(reigned, "n3", rows("n3", "xy"))
    opened = opening(reigned, "s", shadow=True)
    assert opened["batches"] == []  # what has landed is the nights'
    assert "mode: better" in central(reigned, "show", f"{opened['commit']}:params.yaml")
    assert fitted(reigned, opened["commit"]) == ["n2"]
    answer = closed(reigned, opened)
    assert (answer["outcome"], answer["shadow"]) == ("judged", False)
    assert "encoders are fitted anew: shadow: n2" in answer["problems"]
    assert central(reigned, "rev-parse", "nightly") == answer["commit"]
    assert central(reigned, "rev-parse", "nightly^{tree}") == before
    message = central(reigned, "log", "-1", "--format=%B", "nightly")
    assert message.startswith("shadow: the reference stays\n")
    assert "fail: champion: 0.900 against 0.930 of v1.0.0: difference -0.030" in message
    assert reference.nights(Path(reigned.settings.central), "nightly") == 0
    assert "no night came since" in opening(reigned, "s2", shadow=True)["nothing"]
    assert fitted(reigned, opening(reigned, "n3")["commit"]) == ["n1"]


def test_a_shadow_that_wins_makes_its_reference_that_of_later_nights_once_it_reigns(reigned: Project) -> None:
    assert reference.nights(Path(reigned.settings.central), "nightly") == 2
    verdict(reigned, "promote")
    won = str(closed(reigned, opening(reigned, "s", shadow=True))["commit"])
    assert fitted(reigned, "nightly") == ["n2"]
    land(reigned, "n3", rows("n3", "xy"))
    assert fitted(reigned, opening(reigned, "early")["commit"]) == ["n1"]  # it is not promoted
    crown(reigned, won, 2)
    assert fitted(reigned, opening(reigned, "late")["commit"]) == ["n2"]


def test_a_batch_that_is_rejected_leaves_the_reference_where_it_was(reigned: Project) -> None:
    land(reigned, "n3", rows("n3", "z"))
    opened = opening(reigned, "n3")
    assert fitted(reigned, opened["commit"]) == ["n1", "n2", "n3"]
    assert close(reigned.settings, opened, {}, admitted("told", ("n3",)))["outcome"] == "batch rejected"
    assert fitted(reigned, "nightly") == ["n1"]


def test_a_shadow_is_tried_once_in_so_many_nights_however_it_ends(reigned: Project) -> None:
    place = Path(reigned.settings.central)
    reigned.commit(params_yaml=(reigned.checkout / "params.yaml").read_text() + "shadow: {nights: 3}\n")
    verdict(reigned, "reject")
    due = []
    for number in range(3, 8):
        land(reigned, f"n{number}", rows(f"n{number}", "xy"))
        due.append((reference.nights(place, "nightly") + 1, closed(reigned, opening(reigned, f"n{number}"))["shadow"]))
    assert due == [(3, True), (4, False), (5, False), (6, True), (7, False)]


def test_one_that_was_cut_off_before_it_could_reign_can_be_asked_for_again(reigned: Project) -> None:
    verdict(reigned, "promote")
    closed(reigned, opening(reigned, "s", shadow=True))
    assert "commit" in opening(reigned, "s2", shadow=True)


def test_a_start_is_refused_where_rows_are_split_by_time(nights: Nights) -> None:
    nights.header = "sample_id,label,timestamp,a,b"
    nights.night(n1=[f"s{i},{'xy'[i % 2]},{i:02},one,two" for i in range(30)])
    reference.check_start(nights.params)
    begun = replace(nights.params, pretrain=replace(nights.params.pretrain, start="champion"))
    with pytest.raises(Refused, match=r"pretrain\.start: samples are split by time, and what an older version's encoders"):
        reference.check_start(begun)


def another(project: Project, md5: str) -> str:
    """A commit as `nightly` is, with another bundle."""
    place = project.settings.home / "another"
    git("clone", "--quiet", project.settings.central, str(place))
    git("checkout", "--quiet", "nightly", cwd=place)
    lock = place / "dvc.lock"
    lock.write_text(lock.read_text().replace(str(bundle_entry(place, "HEAD")["md5"]), md5))
    git("commit", "--quiet", "-am", "another", cwd=place)
    git("push", "--quiet", "origin", "HEAD:refs/heads/another", cwd=place)
    return git("rev-parse", "HEAD", cwd=place)


def test_what_encoders_start_from_is_pinned_by_content_until_they_are_fitted_anew(reigned: Project) -> None:
    def pinned(opened: dict[str, Any]) -> str:
        return re.findall(r"md5: (\w+)", central(reigned, "show", f"{opened['commit']}:data/start.dvc"))[0]

    first, second = str(bundle_entry(Path(reigned.settings.central), "nightly")["md5"]), "ab" * 16
    asked = {"overrides": ["pretrain.start=champion"]}
    with pytest.raises(UnknownName, match=r"pretrain\.start = 'v7\.0\.0'; known: champion, v1\.0\.0"):
        opening(reigned, "no", overrides=["pretrain.start=v7.0.0"])
    with pytest.raises(Refused, match=r"pretrain\.start: champion was fitted with another seed or split of params\.yaml"):
        opening(reigned, "leak", overrides=[*asked["overrides"], "split.test=0.3"])
    opened = opening(reigned, "start", **asked)
    assert pinned(opened) == first
    central(reigned, "update-ref", "refs/heads/nightly", opened["commit"])
    crown(reigned, another(reigned, second), 2)
    assert pinned(opening(reigned, "later", overrides=[*asked["overrides"], "shadow.nights=7"])) == first
    with pytest.raises(Refused, match=r"pretrain\.start: v1\.0\.0 was fitted with another seed or split"):
        opening(reigned, "seeded", overrides=[*asked["overrides"], "seed=2"])  # encoders are fitted from it again
    assert pinned(opening(reigned, "moved", move_reference=True, **asked)) == second
    assert pinned(opening(reigned, "none")) not in (first, second)
