"""A bad S3, between us and which a proxy fails, resets, cuts and lies.

Every fault is seeded. What must hold: success within the retries or a typed error, no object whose content is not what its
name says, at most five times the requests of an undisturbed run.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from s3fs import S3FileSystem

from tasks.errors import NoData
from tasks.ingest import digest, ingest
from tasks.ingest.landing import list_batches
from tasks.run import lock
from tasks.run.failures import INFRASTRUCTURE, exit_code
from tasks.run.stage import run_stage
from tests.faults.bad import Bad
from tests.faults.remote import BUCKET, REMOTE, lies, objects
from tests.ingest.land import params, write
from tests.ingest.test_ingest import FILES, ROWS
from tests.run.conftest import Project

SHARE = 0.1
MOST = 5  # times the requests
TRIES = 11  # of a task, by Airflow
PROFILES = 20
STAGES = f"""
stages:
  profile:
    cmd: mkdir data/2_profiles && for i in $(seq {PROFILES}); do echo profile $i > data/2_profiles/$i; done
    deps: [data/1_raw.json]
    outs: [data/2_profiles]
  validate:
    cmd: mkdir data/3_manifest && cat data/2_profiles/* > data/3_manifest/all
    deps: [data/2_profiles]
    outs: [data/3_manifest]
"""


def test_ingest_through_a_bad_s3_takes_every_byte_or_says_so(store: Any, bad: Bad, tmp_path: Path) -> None:
    landed = write(tmp_path / "night", ROWS, files=FILES)
    for file in sorted((tmp_path / "night").rglob("*")):
        if file.is_file():
            store.put_object(Bucket=BUCKET, Key=f"zone/night/{file.relative_to(tmp_path / 'night')}", Body=file.read_bytes())
    good = digest(landed, params())
    bad.count(0.0)
    ingest(list_batches(f"s3://{BUCKET}/zone")[0], params(), tmp_path / "calm")
    calm = bad.count(SHARE)
    taken = 0
    for number in range(5):
        try:
            batch = ingest(list_batches(f"s3://{BUCKET}/zone")[0], params(), tmp_path / str(number)).batch
        except NoData:
            continue
        taken += 1
        assert batch.digest == good
    assert taken >= 4  # each request has five tries
    assert bad.count(0.0) <= MOST * 5 * calm


def night(project: Project, commit: str, remote: str, url: str) -> lock.Fragments:
    """Run both stages as often as Airflow would, each try on a machine of its own: what the second reads is pulled."""
    fragments: lock.Fragments = {}
    for stage in ("profile", "validate"):
        for number in range(TRIES):
            cache = project.settings.home / remote.rpartition("/")[2] / f"{stage}-{number}"
            s = replace(project.settings, remote=remote, s3_endpoint=url, cache=cache)
            S3FileSystem.clear_instance_cache()  # what it knows of the bucket is this process's alone
            try:
                fragments[stage] = run_stage(s, commit, stage, fragments)["lock"]
                break
            except Exception as error:
                if exit_code(error) != INFRASTRUCTURE:
                    raise
        assert stage in fragments
    return fragments


def test_push_and_pull_through_a_bad_s3_succeed_within_the_tries_of_a_task(project: Project, store: Any, bad: Bad) -> None:
    commit = project.commit(dvc_yaml=STAGES)
    bad.count(0.0)
    wanted = night(project, commit, f"s3://{BUCKET}/calm", bad.url)
    calm = bad.count(SHARE)
    assert night(project, commit, REMOTE, bad.url) == wanted
    spoilt = bad.count(0.0)
    assert len(objects(store)) == PROFILES + 3  # the list of their folder; the manifest, and its
    assert lies(store) == []
    assert 2 * PROFILES < calm < spoilt <= MOST * calm
