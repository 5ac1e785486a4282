"""Predictions lie in a folder or on S3: placed whole, found again, the facts last."""

from contextlib import chdir
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from dvc.repo import Repo

from tasks.erase.find import Wanted
from tasks.erase.predictions import drop, holding
from tasks.errors import ContractBroken
from tasks.score.shelf import Shelf
from tasks.tables import write_parquet
from tests.ingest.test_s3 import bucket, server

__all__ = ["bucket", "server"]


def shelf(folder: Path, kind: str, server: str) -> Shelf:
    """The shelf of a project whose remote is a folder or a bucket."""
    remote = {"url": str(folder / "remote")} if kind == "folder" else {"url": "s3://landing/remote", "endpointurl": server}
    project = folder / "project"
    project.mkdir()
    with chdir(project), Repo.init(str(project), no_scm=True) as repo, repo.config.edit() as config:
        config["remote"]["r"] = remote
        config["core"] = {"remote": "r", "no_scm": True}
    with chdir(project), Repo(str(project)) as repo:
        return Shelf(repo)


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_what_is_placed_is_found_again(kind: str, tmp_path: Path, bucket: Any, server: str) -> None:
    found = shelf(tmp_path, kind, server)
    assert (found.versions(), found.facts("v1.0.0"), found.live("v1.0.0"), list(found.files())) == ([], {}, {}, [])
    for name, ids in {"answers": ["s1", "s2"], "left_out": ["s3"]}.items():
        write_parquet(tmp_path / name, pa.table({"sample_id": ids}).replace_schema_metadata({"nightloom": "{}"}))
    facts = {"batch": "b", "digest": "0", "reasons": [["s3 stands twice", 2]]}
    found.put("v1.0.0", "b-0", tmp_path / "answers", tmp_path / "left_out", facts)
    found.note("v1.0.0", "c-0", {"batch": "c", "reasons": []})
    assert found.versions() == ["v1.0.0"]
    assert found.facts("v1.0.0") == {"b-0": facts, "c-0": {"batch": "c", "reasons": []}}
    with found.answers("v1.0.0", "b-0") as file:
        assert list(pd.read_parquet(file)["sample_id"]) == ["s1", "s2"]
    (tmp_path / "live.png").write_bytes(b"picture")
    found.put_live("v1.0.0", {"fallen": ""}, tmp_path / "live.png")
    assert found.live("v1.0.0") == {"fallen": ""}
    if kind == "folder":
        assert Path(found.place) == tmp_path / "remote/predictions"
        assert not list(Path(found.place).rglob(".*"))
    holds = holding(found, Wanted(frozenset({"s2", "s3"})))
    assert [path.split("predictions/")[1] for path in holds] == [
        "facts/v1.0.0/b-0.json",
        "quarantine/v1.0.0/b-0.parquet",
        "v1.0.0/b-0.parquet",
    ]
    drop(found, holds, ["s2", "s3"])
    assert holding(found, Wanted(frozenset({"s2", "s3"}))) == []
    with found.answers("v1.0.0", "b-0") as file:
        assert list(pd.read_parquet(file)["sample_id"]) == ["s1"]


def test_damaged_facts_are_named(tmp_path: Path) -> None:
    found = shelf(tmp_path, "folder", "")
    place = Path(found.place, "facts/v1.0.0/b-0.json")
    place.parent.mkdir(parents=True)
    place.write_text("{")
    with pytest.raises(ContractBroken, match=r"b-0.json is not JSON .* delete it, and its batch is predicted again"):
        found.facts("v1.0.0")
