"""Both stores answer to the same verbs, a folder and S3 over HTTP."""

import subprocess
from contextlib import chdir
from pathlib import Path

import pyarrow as pa
import pytest

from tasks.erase.find import YES, Wanted
from tasks.erase.stores import Stores
from tasks.files import file_digest, write_bytes
from tasks.tables import write_parquet
from tests.ingest.test_s3 import bucket, server

__all__ = ["bucket", "server"]


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_what_holds_a_sample_is_found_and_dropped(kind: str, tmp_path: Path, bucket, server: str) -> None:
    from dvc.repo import Repo

    where = str(tmp_path / "remote") if kind == "folder" else "s3://landing/remote"
    project = tmp_path / "project"
    for name, ids in {"data/yes.parquet": ["s0", "s1"], "data/no.parquet": ["s0", "s10"]}.items():
        write_parquet(project / name, pa.table({"sample_id": ids}))
    for words in (["git", "init", "-q"], ["dvc", "init", "-q"], ["dvc", "remote", "add", "-q", "-d", "r", where]):
        subprocess.run(words, cwd=project, check=True, capture_output=True)
    if kind == "s3":
        subprocess.run(["dvc", "remote", "modify", "r", "endpointurl", server], cwd=project, check=True)
    yes, no = (file_digest(project / f"data/{name}.parquet", "md5") for name in ("yes", "no"))
    names = [f"memo/{'b' * 64}/{md5}-{'1' * 32}-00000000.parquet" for md5 in (yes, no)]
    for name in names:
        if kind == "folder":
            write_bytes(tmp_path / "remote" / name, b"")
        else:
            bucket.put_object(Bucket="landing", Key=f"remote/{name}", Body=b"")
    with chdir(project), Repo() as repo:
        repo.add(["data"])
        repo.push()
        stores = Stores(repo)
        held = stores.oids("remote")
        assert {yes, no} < held == stores.oids("cache")
        assert stores.judge(Wanted(frozenset({"s1"}))) == {yes: YES}
        size, modified_s = stores.facts("remote", yes)
        assert size == (project / "data/yes.parquet").stat().st_size
        assert abs(modified_s - (project / "data/yes.parquet").stat().st_mtime) < 3600
        found = list(stores.memo())
        assert [partition for _, partition, _ in found] == sorted([yes, no])
        stores.drop_memo([path for path, partition, _ in found if partition == yes])
        for store in ("cache", "remote"):
            stores.drop(store, [yes, "f" * 32])
            assert stores.oids(store) == held - {yes}
    with chdir(project), Repo() as repo:
        assert [partition for _, partition, _ in Stores(repo).memo()] == [no]
        assert Stores(repo).judge(Wanted(frozenset({"s1"}))) == {}
