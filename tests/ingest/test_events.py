import pyarrow.parquet as pq
import pytest

from tasks.errors import ContractBroken
from tasks.ingest import digest, ingest
from tasks.ingest.erased import Erased
from tasks.ingest.landing import list_batches, look
from tests.ingest.land import params, write
from tests.ingest.test_ingest import FILES, ROWS
from tests.ingest.test_s3 import bucket, put, server

__all__ = ["bucket", "server"]  # fixtures

GOOD = "sample_id,event,value,who\na,withdrawn,consent revoked,dr x\nb,label,dog,\nb,label,,\n"


def land(tmp_path, content, name="late"):
    folder = tmp_path / "landing" / name
    folder.mkdir(parents=True)
    (folder / "events.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    return next(batch for batch in list_batches(str(tmp_path / "landing")) if batch.name == name)


def rows(done, raw):
    return pq.read_table(raw / done.batch.partitions["events"][0].path).to_pylist()


def test_every_event_arrives_in_order_and_a_batch_of_them_has_no_samples(tmp_path):
    landed = land(tmp_path, GOOD)
    done = ingest(landed, params(), tmp_path / "raw")
    assert (done.rows, done.refused, dict(done.modalities), list(done.batch.partitions)) == (3, 0, {}, ["events"])
    assert not done.batch.of_samples
    assert [(r["row"], r["sample_id"], r["event"], r["value"], r["who"]) for r in rows(done, tmp_path / "raw")] == [
        (1, "a", "withdrawn", "consent revoked", "dr x"),
        (2, "b", "label", "dog", ""),
        (3, "b", "label", "", ""),
    ]
    assert done.batch.partitions["events"][0].path == f"events/late-{done.batch.digest[:8]}.parquet"
    assert done == ingest(landed, params(), tmp_path / "again")
    assert done.batch.digest == digest(landed, params())


def test_blanks_around_a_label_are_no_part_of_it(tmp_path):
    content = "sample_id,event,value\na,label, dog \nb,label, \nc,withdrawn, said so \n"
    done = ingest(land(tmp_path, content), params(), tmp_path / "raw")
    assert [row["value"] for row in rows(done, tmp_path / "raw")] == ["dog", "", " said so "]


def test_a_bad_row_is_refused_with_its_reason_and_counted(tmp_path):
    content = "sample_id,event,value\na,withdraw,\n,withdrawn,\n b,label,x\nc,label\nd,label,d\ne,image,x\nf,label,\0\n"
    done = ingest(land(tmp_path, content), params(), tmp_path / "raw")
    found = [row["refused"] for row in rows(done, tmp_path / "raw")]
    assert found == [
        "event is 'withdraw', expected withdrawn or a target: label",
        "sample_id is empty",
        "sample_id ' b' begins or ends with a space",
        "the row has 2 cells, the header 3",
        "",
        "event is 'image', expected withdrawn or a target: label",
        "value holds a NUL character",
    ]
    assert (done.rows, done.refused) == (7, 6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("sample_id,event\na,withdrawn\n", "lacks the column value. Columns found: sample_id, event"),
        ("sample_id,event,value,value\n", "more than one column value"),
        ("sample_id,event,value\n", "has 0 rows, expected 1 to"),
        (b"sample_id,event,value\na,label,\xff\n", "is not UTF-8"),
        ('sample_id,event,value\na,label,"x\n', "line 2, is not CSV"),
        (b"", "events.csv is empty"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_whole(tmp_path, content, message):
    with pytest.raises(ContractBroken, match=message):
        ingest(land(tmp_path, content), params(), tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


def test_a_folder_with_both_tables_is_neither(tmp_path):
    write(tmp_path / "landing" / "night", ROWS, files=FILES)
    (tmp_path / "landing/night/events.csv").write_text(GOOD)
    (landed,) = list_batches(str(tmp_path / "landing"))
    for verb in (digest, lambda *given: ingest(*given, tmp_path / "raw")):
        with pytest.raises(ContractBroken, match=r"night holds both metadata.csv and events.csv: a batch is one or the other"):
            verb(landed, params())


def test_a_prefix_gives_the_same_events_as_the_folder(bucket, tmp_path):
    here = ingest(land(tmp_path, GOOD), params(), tmp_path / "a")
    put(bucket, tmp_path / "landing", "zone")
    (remote,) = look("s3://landing/zone").batches
    assert ingest(remote, params(), tmp_path / "b") == here


def test_of_an_erased_sample_nothing_is_kept_but_the_refusal(tmp_path):
    erased = Erased().plus(["a"])
    assert erased.plus(["a"]) == erased
    landed = write(tmp_path / "landing" / "night", ROWS, files=FILES)
    done = ingest(landed, params(), tmp_path / "raw", erased)
    assert (done.rows, done.refused, done.batch.digest) == (3, 1, digest(landed, params()))
    kept = [pq.read_table(path).to_pylist() for path in sorted((tmp_path / "raw").rglob("*.parquet"))]
    assert all(row["sample_id"] in {"", "b", "c"} for table in kept for row in table)
    assert b"one" not in b"".join(bytes(row.get("data") or b"") for table in kept for row in table)
    (told,) = [row for table in kept for row in table if row.get("refused")]
    assert told["refused"] == "this sample was erased; it is not taken again"
    assert {told[key] for key in ("sample_id", "group", "label")} == {"", None}
    events = ingest(land(tmp_path, GOOD), params(), tmp_path / "raw", erased)
    assert [row["sample_id"] for row in rows(events, tmp_path / "raw")] == ["", "b", "b"]
