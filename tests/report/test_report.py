"""The page: whole for any outcome, self-contained, escaped, the verdict before everything else."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks import report
from tasks.report import facts
from tasks.tables import write_parquet

VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """Every tag closed, every reference noted, the text in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []
        self.words = ""
        self.feed(path.read_text())
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.references += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "action", "style"}]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.words += " " + data


def read(path: Path) -> str:
    return re.sub(r"\s+", " ", Page(path).words).replace("\N{MULTIPLICATION SIGN}", "x")


def test_that_a_person_must_approve_stands_with_the_verdict(night: dict[str, Any], tmp_path: Path) -> None:
    assert "A person must approve" not in read(report.write(tmp_path / "auto", **night))
    night["verdict"]["approval"] = "the test set has <7> groups"
    told = read(report.write(tmp_path / "page", **night))
    assert "needed -2.0. A person must approve: the test set has <7> groups" in told


def test_the_page_of_a_night_holds_everything_in_order(night: dict[str, Any], tmp_path: Path) -> None:
    path = report.write(tmp_path / "page", **night)
    assert path == tmp_path / "page" / "index.html"
    told = read(path)
    wanted = [
        "promote Decided by champion: 0.4 points better than v1.0.0",
        "✓ pass champion decides 0.004 -0.006 … 0.014 -0.020",
        "✗ fail small_test warning 400.000",
        "latency, ms warning 5.200",
        "On complete cases, fusing gains 0.174",
        "mean selected 0.884 0.864 … 0.904 0.914",
        "alone-text 0.710",
        "alone-audio 0.665",
        "alone-image 0.630",
        "concat 0.881",
        "Without any modality the accuracy is 0.100, with all 0.884.",
        "text 0.404 0.384 … 0.424 0.202 0.182 … 0.222 102 2",
        "audio 0.200",
        "image 0.180",
        "the best and the worst are 0.420 apart. Their silhouette is 0.41, at most 1.",
        "1 0.550 0.450 … 0.650 surely below 60 58 cat dog 2 0.970 0.950 … 0.990 338 336 dog dog 3 \N{EN DASH} 2 1 elk cat",
        "Surely below: than the 0.884 of all, with so many clusters looked at.",
        "<b>t0</b> cat dog 0.973 dog <i>l1</i>, 0.125 dog <i>l2</i>, 0.25 dog <i>l3</i>, 0.375",
        "100 test samples in 98 groups, one modality of theirs damaged",
        "accuracy of mean. Undamaged it is 0.910.",
        "at 0.5 at 1 Without it",
        "audio noise 0.410 0.220 0.620 0.500 0.480 … 0.520 0.487 0.467 … 0.507 -0.050 -0.070 … -0.030",
        "audio clipping 0.600 0.700 0.620 0.310 0.290 … 0.330 0.703",
        "image blur 0.750 0.500 0.710 0.160 0.140 … 0.180 0.728 0.708 … 0.748 \N{EN DASH}",
        "1,998 accepted",
        "0 unlabelled",
        "night-2 new 1000 998 2",
        "1 x image: truncated PNG",
        "warning drift of loudness samples 0.31 <= 0.3 the loudness moved",
        "Data Docs",
    ]
    places = [told.find(words) for words in wanted]
    assert -1 not in places, wanted[places.index(-1)]
    assert places == sorted(places)


def test_nothing_is_loaded_from_elsewhere(night: dict[str, Any], tmp_path: Path) -> None:
    path = report.write(tmp_path / "page", **night)
    references = Page(path).references
    assert [r for r in references if r.startswith("data:image/png;base64,")]
    assert [r for r in references if not r.startswith(("data:", "left:"))] == [
        "data_docs/index.html",
        "http://127.0.0.1:8080/dags",
    ]
    assert "url(" not in path.read_text()
    assert "@import" not in path.read_text()


def test_the_page_lets_a_browser_run_its_own_script_alone(night: dict[str, Any], tmp_path: Path) -> None:
    text = report.write(tmp_path / "page", **night).read_text()
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"'sha256-{digest}'"
    assert rules["img-src"] == "data:"
    assert text.index("Content-Security-Policy") < text.index("<title>")  # before anything that people landed


def test_pictures_come_before_tables_but_that_of_the_gate(night: dict[str, Any], tmp_path: Path) -> None:
    text = report.write(tmp_path / "page", **night).read_text()
    places = [text.index(words) for words in ("<h1>", "Why: the gate", "<img alt=", "Scores on the test set", "accepted</li>")]
    assert places == sorted(places)
    assert 'alt="confusion matrix of the selected model on the test set: true classes against predicted ones"' in text


def test_what_people_land_is_escaped(night: dict[str, Any], tmp_path: Path) -> None:
    evil = '"><script>alert(1)</script>'
    night |= {"run": evil, "commit": evil, "problems": [evil]}
    night["links"] = {evil: evil, "bad": "javascript://%0aalert(1)"}
    night["manifest"]["batches"][0]["name"] = evil
    night["verdict"]["rows"][0] |= {"reason": evil, "name": evil, "rule": evil}
    night["scores"]["candidates"][evil] = night["scores"]["candidates"]["mean"]
    night["validation"]["expectations"][1] |= {"observed": evil, "reason": evil, "table": evil, "name": evil}
    path = report.write(tmp_path / "page", **night)
    assert path.read_text().count("<script") == 1
    assert "<b>s8" not in path.read_text()
    assert read(path).count("<script>alert(1)</script>") >= 12
    assert not [r for r in Page(path).references if "javascript" in r]


def test_a_night_that_stopped_at_admit_shows_its_reasons(night: dict[str, Any], tmp_path: Path) -> None:
    night["validation"]["expectations"][0] |= {"success": False, "reason": "3 ids occur twice"}
    kept = {name: night[name] for name in ("run", "validation", "manifest", "quarantine")}
    told = read(report.write(tmp_path / "page", outcome="batch rejected", problems=["batch night-2 stays out"], **kept))
    assert "batch rejected 1 critical expectation(s) failed; nothing was trained." in told
    assert "batch night-2 stays out" in told
    assert told.index("3 ids occur twice") < told.index("the loudness moved")  # critical ones first
    assert "Scores" not in told


@pytest.mark.parametrize("outcome", ["failed", "batch rejected", "judged"])
def test_only_the_outcome_is_needed(outcome: str, tmp_path: Path) -> None:
    assert f"{outcome} No verdict was reached." in read(report.write(tmp_path, outcome=outcome))


def test_a_rejection_is_an_outcome_not_an_alarm(night: dict[str, Any]) -> None:
    verdict = {**night["verdict"], "verdict": "reject"}
    assert facts.head("judged", verdict, None)["tone"] == "quiet"
    assert facts.head("judged", night["verdict"], None)["tone"] == "good"
    assert facts.head("failed", None, None)["tone"] == "bad"


def test_each_target_has_its_table_and_one_without_scores_has_none(night: dict[str, Any], tmp_path: Path) -> None:
    found = {"value": -12.5, "low": -14.0, "high": -11.0}
    size = {"metric": "neg_mean_absolute_error", "samples": 300, "candidates": {"mean": {"neg_mean_absolute_error": found}}}
    none = {"metric": "r2", "samples": 0, "groups": 0, "candidates": {}}
    night["scores"]["others"] = {"size": size, "age": none}
    told = read(report.write(tmp_path / "page", **night))
    assert "neg mean absolute error of size" in told
    assert "mean selected -12.500 -14.000 … -11.000" in told
    assert told.index("accuracy of label") < told.index("neg mean absolute error of size")
    assert "r2 of age" not in told


def test_intervals_lie_on_one_scale() -> None:
    assert facts.scale([{"value": -12.5, "low": -14.0, "high": -11.0}]) == (-14.0, -11.0)
    assert facts.scale([{"value": 0.8, "low": -0.3, "high": 0.9}]) == (-1.0, 1.0)
    low, high = facts.scale([{"value": 0.63, "low": 0.61, "high": 0.66}, {"value": 0.9, "low": None, "high": None}])
    assert (low, high) == (0.6, 0.9)
    assert [facts.place(value, low, high) for value in (0.6, 0.75, 0.9, None)] == [0.0, 50.0, 100.0, None]
    assert facts.scale([]) == (0.0, 1.0)
    assert facts.scale([{"value": 1.0, "low": 1.0, "high": 1.0}]) == (0.9, 1.0)
    assert facts.scale([{"value": 0.0, "low": 0.0, "high": 0.0}]) == (0.0, 0.1)


def test_where_gaps_are_filled_the_page_says_how_often_and_what_it_is_worth(night: dict[str, Any], tmp_path: Path) -> None:
    lost = {
        name: {"value": value, "low": value, "high": value}
        for name, value in (("masked", 0.3), ("mapped", 0.1), ("gained", 0.2))
    }
    recall, chance = {"1": 0.5, "5": 0.75, "10": 0.875}, {"1": 0.025, "5": 0.125, "10": 0.25}
    pair = {"from": "image", "to": "text", "used": False, "samples": 40, "recall": recall, "chance": chance}
    of = {"mapping": "linear", "recall": {"test": [pair]}, "filled": {"image": 7, "text": 9}, "without": {"text": lost}}
    night["scores"]["missing"] = {"mean": of}
    told = read(report.write(tmp_path / "page", **night))
    assert "mean image 7 " in told
    assert "mean text 9 0.100 0.100 … 0.100 0.300 0.300 … 0.300 0.200 0.200 … 0.200" in told
    assert "image text fills nothing 40 0.500 0.025 0.750 0.125 0.875 0.250" in told
    del night["scores"]["missing"]
    assert "filled from the others" not in read(report.write(tmp_path / "page", **night))


def test_what_is_treated_alike_and_lies_near_is_told_where_there_is_any(night: dict[str, Any], tmp_path: Path) -> None:
    path = report.write(tmp_path / "page", **night)
    assert "<b>t0" not in path.read_text()
    assert "<i>l1" not in path.read_text()
    told = read(path)
    assert told.count("<b>t") == facts.WRONG
    alone = {**night["scores"]["clusters"], "unclear": True, "parts": night["scores"]["clusters"]["parts"][1:]}
    night["scores"]["clusters"] = {**alone, "apart": None, "metric": "neg_mean_absolute_error"}
    for part in alone["parts"]:
        part |= {"truth": 51.25, "says": 49.5}
    rows = [{**row, "sure": None} for row in pq.read_table(night["neighbours"]).to_pylist()[:1]]
    write_parquet(night["neighbours"], pa.Table.from_pylist(rows))
    told = read(report.write(tmp_path / "page", **night))
    assert "They hardly stand apart (silhouette 0.41, at most 1): rather regions of one cloud." in told
    assert "neg mean absolute error Samples Groups Mean truth Mean answer 1 0.970" in told
    assert "338 336 51.25 49.5 " in told
    assert "None surely lies below the 0.884 of all." in told
    assert "Sample Truth The model says Nearest train sample <b>t0</b> cat dog dog <i>l1</i>, 0.125 Those furthest off" in told
    night["scores"]["clusters"] = None
    assert "Wrong answers, and what was learned nearby" in read(report.write(tmp_path / "page", **night))
    del night["neighbours"]
    assert "What it treats alike" not in read(report.write(tmp_path / "page", **night))


def test_damage_that_is_worse_than_absence_is_marked_and_none_is_not_shown(night: dict[str, Any], tmp_path: Path) -> None:
    page = report.write(tmp_path / "page", **night).read_text()
    assert re.findall(r'mark warn">([0-9.]+)<', page) == ["0.410"]
    for body in night["robustness"]["modalities"]["audio"]["corruptions"].values():
        body |= {"effective": None, "over_gone": {"value": 0.0, "low": -0.1, "high": 0.1}}
    told = read(report.write(tmp_path / "page", **night))
    assert "Relative robustness" in told
    assert "ffective robustness" not in told  # late fusion was selected
    assert "Marked" not in told
    night["robustness"] |= {"samples": 0, "modalities": {}}
    assert "damaged inputs" not in read(report.write(tmp_path / "page", **night))
    del night["robustness"]
    assert "damaged inputs" not in read(report.write(tmp_path / "page", **night))


def test_explained_answers_are_shown_and_none_is_not(night: dict[str, Any], tmp_path: Path) -> None:
    page = report.write(tmp_path / "page", **night)
    told = read(page)
    assert "1 right and 1 wrong answers of mean" in told
    assert "s1: right, says cat (0.990)" in told
    assert "<i>s2</i>: wrong, says cat (0.810), is dog" in told  # as text
    assert "audio 2 0.87 -0.04 0.610 0.330 0.120" in told
    picture = base64.b64encode((tmp_path / "confusion.png").read_bytes()).decode()
    assert page.read_text().count(picture) == 3  # the confusion matrix itself, and twice in place of an example
    write_parquet(tmp_path / "explain/examples.parquet", pq.read_table(tmp_path / "explain/examples.parquet").slice(0, 0))
    assert "What answers look at" not in read(report.write(tmp_path / "page", **night))
    del night["explained"]
    assert "What answers look at" not in read(report.write(tmp_path / "page", **night))
