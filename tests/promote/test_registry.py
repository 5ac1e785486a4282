"""The read side: order comes from numbers, the anchor from trailers, and what is wrong is said."""

from pathlib import Path

import pytest

from tasks.errors import ContractBroken, NoData, UnknownName
from tasks.promote import registry
from tasks.promote.announce import announce, next_date_s, one_line, tag_object
from tasks.promote.bump import bump
from tasks.promote.registry import Tag
from tasks.run.git import git

LATE_S, EARLY_S = 1_900_000_000, 1_000_000_000


def made(name: str, commit: str, date_s: int = 0, **trailers: str) -> Tag:
    return Tag(name, f"object of {name}", commit, date_s, trailers)


def version_and_reign(version: str, number: int, commit: str, **trailers: str) -> list[Tag]:
    return [made(f"fused-model@{version}", commit), made(f"fused-model#champion#{number}", commit, **trailers)]


def test_order_is_the_number_whatever_the_clocks_said() -> None:
    tags = [
        made("fused-model@v1.0.0", "a", LATE_S),
        made("fused-model@v1.1.0", "b", EARLY_S),
        made("fused-model#champion#10", "b", EARLY_S),
        made("fused-model#champion#9", "a", LATE_S),
        made("fused-model#champion#2", "b", LATE_S),
        made("fused-model#champion#1", "a", EARLY_S),
    ]
    assert [(r.number, r.version) for r in registry.fold(tags)] == [(1, "v1.0.0"), (2, "v1.1.0"), (9, "v1.0.0"), (10, "v1.1.0")]


def test_names_outside_the_grammar_are_not_read() -> None:
    commit = "a"
    names = (
        "fused-model@v1.0",
        "fused-model@v01.0.0",
        "fused-model#champion#0",
        "fused-model#shadow#1",
        "fused-model#champion!#2",
    )
    tags = [*version_and_reign("v1.0.0", 1, commit), *(made(name, commit) for name in names)]
    assert [r.tag for r in registry.fold(tags)] == ["fused-model#champion#1"]


def test_the_anchor_is_what_the_newest_promotion_names() -> None:
    tags = [*version_and_reign("v1.0.0", 1, "a", Anchor="v1.0.0"), *version_and_reign("v1.1.0", 2, "b", Anchor="v1.0.0")]
    best = registry.anchor_of(registry.fold(tags))
    assert best is not None
    assert (best.number, best.version) == (1, "v1.0.0")
    by_hand = [*tags, *version_and_reign("v2.0.0", 3, "c")]  # `gto assign` writes no trailers
    assert registry.anchor_of(registry.fold(by_hand)) == best
    assert registry.anchor_of([]) is None
    with pytest.raises(ContractBroken, match=r"fused-model#champion#3 names v9\.0\.0 as anchor"):
        registry.anchor_of(registry.fold([*tags, *version_and_reign("v2.0.0", 3, "c", Anchor="v9.0.0")]))


def test_a_champion_without_a_version_is_refused() -> None:
    with pytest.raises(ContractBroken, match="fused-model#champion#1 names commit a, which has no version"):
        registry.fold([made("fused-model#champion#1", "a")])


def test_versions_grow_from_the_highest_one() -> None:
    assert bump([], "patch") == "v1.0.0"
    assert bump(["v1.9.3", "v1.10.0", "v0.99.0"], "patch") == "v1.10.1"
    assert bump(["v1.10.1"], "minor") == "v1.11.0"
    assert bump(["v1.10.1"], "major") == "v2.0.0"


def test_dates_never_go_back() -> None:
    assert next_date_s([], now_s=100.9) == 100
    assert next_date_s([made("x", "a", 50)], now_s=100) == 100
    assert next_date_s([made("x", "a", 500), made("y", "a", 50)], now_s=100) == 501


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git("init", "--quiet", "--bare", "central.git", cwd=tmp_path)
    git("clone", "--quiet", "central.git", "work", cwd=tmp_path)
    git("commit", "--quiet", "--allow-empty", "--message", "one", cwd=tmp_path / "work")
    return tmp_path


def test_tags_go_round_and_are_created_once_or_not_at_all(repository: Path) -> None:
    work, central = repository / "work", str(repository / "central.git")
    commit = git("rev-parse", "HEAD", cwd=work)
    facts = {"Run": "night\nAnchor: v6.6.6", "Anchor": "v1.0.0"}
    made = {
        name: tag_object(work, name, commit, EARLY_S, "first", facts)
        for name in ("fused-model@v1.0.0", "fused-model#champion#1")
    }
    assert announce(work, central, made)
    reign = registry.champion(central)
    assert reign is not None
    assert (reign.object, reign.date_s) == (made["fused-model#champion#1"], EARLY_S)
    assert reign.trailers == {"Run": "night Anchor: v6.6.6", "Anchor": "v1.0.0"}
    assert registry.champion(f"file://{central}") == reign  # the same from behind a URL
    again = tag_object(work, "fused-model#champion#1", commit, LATE_S, "other", {})
    other = tag_object(work, "fused-model@v1.0.1", commit, LATE_S, "other", {})
    assert not announce(work, central, {"fused-model@v1.0.1": other, "fused-model#champion#1": again})
    assert list(registry.versions(central)) == ["v1.0.0"]
    assert registry.champion(central) == reign
    assert announce(work, central, {"fused-model@v1.0.1": other})  # a message without trailers, and the last in the list
    assert registry.find(central, "fused-model@v1.0.1").trailers == {}


def test_unknown_versions_and_places_are_named(repository: Path) -> None:
    with pytest.raises(UnknownName, match=r"unknown version 'v3\.0\.0'; known: none yet"):
        registry.find(str(repository / "central.git"), "v3.0.0")
    with pytest.raises(NoData, match=r"no repository at .*nowhere.*NIGHTLOOM_CENTRAL"):
        registry.champion(str(repository / "nowhere"))


def test_host_and_path_is_a_place_elsewhere(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = tmp_path / "ssh"  # what git calls with options, the host and a command: here the host is this machine
    host.write_text('#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n')
    host.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(host))
    assert registry.versions(f"host:{repository / 'central.git'}") == registry.versions(str(repository / "central.git"))


def test_one_line_leaves_no_way_to_a_second_one() -> None:
    assert one_line(" a\r\nb\x1fc\x1ed\u2028e ") == "a b c d e"
