"""The model card: what it must say, and that what people landed is no markup in it."""

from typing import Any

import pytest

from tasks.report.card import card

FACTS = ("run", "commit", "verdict", "scores", "manifest")
EVIL = "![x](http://evil/x.png) | `<script>`\n# head"


def told(night: dict[str, Any]) -> str:
    return card(**{name: night[name] for name in FACTS})


def test_it_says_what_the_model_is_of_what_it_was_made_and_how_well_it_does(night: dict[str, Any]) -> None:
    text = told(night)
    wanted = [
        "# fused-model: model card",
        "predicts `label`; of the candidates `mean` was selected",
        "verdict: promote, decided by champion",
        "run `scheduled__2026-11-02T02:00:00+00:00`; `git checkout 0123456789ab && dvc repro`",
        "1,998 accepted samples (1,300 train, 298 val, 400 test, 0 unlabelled), 2 quarantined",
        "- `night-2`: 998 of 1,000 rows",
        "## How well it does: accuracy on 400 test samples of 400 groups",
        "| `mean` | 0.884 | 0.864 … 0.904 |",
        "| `alone-text` | 0.710 | 0.690 … 0.730 |",
        "| `text` | 0.404 | 0.384 … 0.424 |",
        "| champion | pass | `0.4 points better than v1.0.0",
        "## Limits",
        "small_test (warns, and did not hold): `only 400 test samples`",
        "What fusing gains, +0.174 over `alone-text`, was measured where no modality is missing.",
    ]
    places = [text.find(words) for words in wanted]
    assert -1 not in places, wanted[places.index(-1)]
    assert places == sorted(places)
    assert "floor_over_single" not in text  # not applicable


def test_a_single_modality_stands_once_and_what_is_not_known_is_left_open(night: dict[str, Any]) -> None:
    night["scores"] |= {"selected": "alone-text", "complete": {}, "shares": {}}
    night["scores"]["candidates"]["alone-text"]["accuracy"] = {"value": 0.7, "low": None, "high": None}
    text = told(night)
    assert text.count("| `alone-text` | 0.700 | ? |") == 1
    assert "What fusing gains" not in text
    assert "what it adds" not in text


@pytest.mark.parametrize("place", ["batch", "reason", "target", "candidate"])
def test_what_people_landed_is_no_markup(night: dict[str, Any], place: str) -> None:
    if place == "batch":
        night["manifest"]["batches"][0]["name"] = EVIL
    elif place == "reason":
        night["verdict"]["rows"][0]["reason"] = EVIL
    elif place == "target":
        night["scores"]["target"] = EVIL
    else:
        night["scores"]["candidates"][EVIL] = night["scores"]["candidates"]["mean"]
        night["scores"]["selected"] = EVIL
    found = [line for line in told(night).splitlines() if "evil" in line]
    assert found
    assert all("`![x](http://evil/x.png) / '<script>' # head`" in line for line in found)
