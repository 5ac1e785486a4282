"""The small project of tests/run, with real git and DVC; and an S3 server behind a proxy that spoils requests."""

import threading
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.faults.bad import Bad
from tests.faults.remote import BUCKET, KEYS
from tests.run.conftest import project as project


@pytest.fixture(scope="module")
def bad() -> Iterator[Bad]:
    """The proxy."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    proxy = Bad(*server.get_host_and_port())
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    yield proxy
    proxy.shutdown()
    proxy.server_close()
    server.stop()


@pytest.fixture
def store(bad: Bad, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of it, with an empty bucket; nothing is spoilt yet."""
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": bad.url}.items():
        monkeypatch.setenv(name, value)
    bad.count(0.0)
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    yield client
    bad.count(0.0)
    bad.completions.clear()
    for upload in client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
        client.abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])
    for item in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=item["Key"])
    client.delete_bucket(Bucket=BUCKET)
