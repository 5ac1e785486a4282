import io

import boto3
import pytest
from botocore.response import StreamingBody
from moto.server import ThreadedMotoServer

from tasks.errors import ContractBroken, NoData
from tasks.ingest import digest, ingest
from tasks.ingest.landing import list_batches, look, stamp
from tasks.ingest.s3 import TRIES, Prefix
from tests.ingest.land import params, write
from tests.ingest.test_ingest import FILES, ROWS


@pytest.fixture(scope="module")
def server():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(server, monkeypatch):
    for name, value in {
        "ENDPOINT_URL": server,
        "ACCESS_KEY_ID": "x",
        "SECRET_ACCESS_KEY": "x",
        "DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="landing")
    yield client
    for item in client.list_objects_v2(Bucket="landing").get("Contents", []):
        client.delete_object(Bucket="landing", Key=item["Key"])
    client.delete_bucket(Bucket="landing")


def put(client, folder, prefix):
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            client.put_object(Bucket="landing", Key=f"{prefix}/{file.relative_to(folder).as_posix()}", Body=file.read_bytes())


def test_a_prefix_gives_the_same_batch_as_the_folder(bucket, tmp_path):
    rows = [
        *ROWS,
        ["d", "", "cat", "image/gone.png", ""],
        ["e", "", "cat", "image/empty.png", ""],
        ["f", "", "cat", "../x", ""],
    ]
    landed = write(tmp_path / "landing" / "night", rows, files={**FILES, "image/empty.png": b""})
    put(bucket, tmp_path / "landing" / "night", "zone/night")
    bucket.put_object(Bucket="landing", Key="zone/late/image/1.png", Body=b"one")
    found = look("s3://landing/zone/")
    assert found.waiting == ("late has no metadata.csv yet: it is written last",)
    (remote,) = found.batches
    assert remote.name == "night"
    here, there = ingest(landed, params(), tmp_path / "a" / "raw"), ingest(remote, params(), tmp_path / "b" / "raw")
    assert here.refused == 3
    assert here == there  # digest, partitions with their md5, reasons
    assert digest(remote, params()) == here.batch.digest
    (alone,) = list_batches("s3://landing/zone/night")
    assert digest(alone, params()) == here.batch.digest


def test_the_stamp_of_a_prefix_follows_its_objects(bucket, tmp_path):
    write(tmp_path / "night", ROWS, files=FILES)
    put(bucket, tmp_path / "night", "night")
    (remote,) = list_batches("s3://landing")
    before = stamp(remote)
    assert stamp(remote) == before
    bucket.put_object(Bucket="landing", Key="night/image/1.png", Body=b"two")
    assert stamp(remote) != before


def test_an_object_that_is_too_large_is_not_read(bucket, tmp_path):
    write(tmp_path / "night", ROWS, files={**FILES, "image/1.png": bytes((1 << 20) + 1)})
    put(bucket, tmp_path / "night", "night")
    (remote,) = list_batches("s3://landing")
    done = ingest(remote, params(ingest={"file_mb": 1}), tmp_path / "raw")
    assert done.examples == (
        "row 1: image_file_name: 'image/1.png' has 1048577 bytes, at most 1048576 are allowed (ingest.file_mb)",
    )


def test_a_bucket_that_is_not_there_is_no_data(bucket, tmp_path):
    with pytest.raises(NoData, match=r"s3://nowhere/.* cannot be listed"):
        look("s3://nowhere/zone")


def test_a_table_that_breaks_the_contract_is_named_by_its_address(bucket):
    bucket.put_object(Bucket="landing", Key="night/metadata.csv", Body=b"sample_id\na\n")
    (remote,) = list_batches("s3://landing")
    with pytest.raises(ContractBroken, match=r"s3://landing/night/metadata.csv lacks the column label"):
        digest(remote, params())


class Breaking:
    """A client whose bodies break off so many times before one is whole."""

    def __init__(self, times):
        self.left = times

    def get_object(self, **_):
        self.left -= 1
        content = b"whole" if self.left < 0 else b"who"
        return {"ContentLength": 5, "Body": StreamingBody(io.BytesIO(content), 5)}


def test_a_body_that_breaks_off_is_asked_for_again_and_given_up_in_the_end():
    assert Prefix(Breaking(TRIES - 1), "landing", "night/").read("a", 5) == b"whole"
    with pytest.raises(NoData, match=r"s3://landing/night/a cannot be read \(3 read.*\); check the endpoint"):
        Prefix(Breaking(TRIES), "landing", "night/").read("a", 5)
