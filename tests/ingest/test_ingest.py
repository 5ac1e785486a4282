import hashlib
import json
import unicodedata

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.errors import ContractBroken, NoData
from tasks.files import file_digest
from tasks.ingest import digest, ingest
from tasks.ingest.landing import list_batches, look, stamp, waiting
from tests.ingest.land import HEADER, params, write

ROWS = [["a", "g1", "cat", "image/1.png", "seven"], ["b", "", "", "image/2.png", ""], ["c", "g2", "dog", "", "=cmd()"]]
FILES = {"image/1.png": b"one", "image/2.png": b"two"}


def samples(done, raw):
    return pq.read_table(raw / done.batch.partitions["samples"][0].path).to_pylist()


def reasons(tmp_path, rows, header=HEADER, files=FILES, **more):
    """Reasons by row of a batch made of these rows."""
    done = ingest(write(tmp_path / "landing" / "night", rows, header, files), params(**more), tmp_path / "raw")
    told = samples(done, tmp_path / "raw")
    assert len(told) == len(rows) == done.rows
    assert sum(row["refused"] != "" for row in told) == done.refused
    return [row["refused"] for row in told]


def test_every_cell_and_byte_of_a_good_batch_arrives(tmp_path):
    done = ingest(write(tmp_path / "landing" / "2026-11-05", ROWS, files=FILES), params(), tmp_path / "raw")
    assert (done.rows, done.refused, dict(done.modalities)) == (3, 0, {"image": 2, "text": 2})
    table = samples(done, tmp_path / "raw")
    assert [row["label"] for row in table] == ["cat", None, "dog"]
    assert [row["row"] for row in table] == [1, 2, 3]
    assert [(row["has_image"], row["has_text"]) for row in table] == [(True, True), (True, False), (False, True)]
    (images,), (texts,) = done.batch.partitions["image"], done.batch.partitions["text"]
    assert images.path == f"image/2026-11-05-{done.batch.digest[:8]}-000.parquet"
    assert images.md5 == file_digest(tmp_path / "raw" / images.path, "md5")
    content = {
        row["sample_id"]: (row["file_name"], row["data"]) for row in pq.read_table(tmp_path / "raw" / images.path).to_pylist()
    }
    assert content == {"a": ("image/1.png", b"one"), "b": ("image/2.png", b"two")}
    inline = pq.read_table(tmp_path / "raw" / texts.path).to_pylist()
    assert [(row["file_name"], row["data"]) for row in inline] == [("", b"seven"), ("", b"=cmd()")]


def test_blanks_around_a_group_or_a_label_are_no_part_of_it(tmp_path):
    rows = [["a", " g1", "cat ", "", "t"], ["b", "g1 ", "cat", "", "t"], ["c", " ", " ", "", "t"]]
    table = samples(ingest(write(tmp_path / "landing/night", rows), params(), tmp_path / "raw"), tmp_path / "raw")
    assert [(row["group"], row["label"]) for row in table] == [("g1", "cat"), ("g1", "cat"), ("", None)]


def test_a_limit_is_no_room_that_is_taken(tmp_path):
    done = ingest(write(tmp_path / "landing/night", ROWS, files=FILES), params(ingest={"file_mb": 10**7}), tmp_path / "raw")
    assert done.refused == 0


def test_the_digest_is_that_of_metadata_and_sorted_files(tmp_path):
    landed = write(tmp_path / "landing" / "night", ROWS[::-1], files=FILES)
    whole = hashlib.sha256(hashlib.sha256((tmp_path / "landing/night/metadata.csv").read_bytes()).hexdigest().encode() + b"\n")
    for path in sorted(FILES):
        whole.update(f"{hashlib.sha256(FILES[path]).hexdigest()}  {path}\n".encode())
    assert digest(landed, params()) == whole.hexdigest()


def test_twice_is_once(tmp_path):
    landed = write(tmp_path / "landing" / "night", ROWS, files=FILES)
    first, second = (ingest(landed, params(), tmp_path / name / "raw") for name in ("x", "y"))
    again = ingest(landed, params(), tmp_path / "x" / "raw")
    assert first.batch == second.batch == again.batch
    assert first.batch.digest == digest(landed, params())
    assert sorted(p.name for p in (tmp_path / "x").iterdir()) == ["raw"]  # no temporary folder left


def test_a_batch_changed_after_ingest_has_another_stamp_and_digest(tmp_path):
    landed = write(tmp_path / "landing" / "night", ROWS, files=FILES)
    before = stamp(landed), digest(landed, params())
    assert before == (stamp(landed), digest(landed, params()))
    (tmp_path / "landing/night/image/1.png").write_bytes(b"ONE!")
    assert stamp(landed) != before[0]
    assert digest(landed, params()) != before[1]


def test_partitions_are_cut_by_rows_and_by_size(tmp_path):
    rows = [[f"s{i:02d}", "", "cat", f"image/{i}.png", "x"] for i in range(7)]
    landed = write(tmp_path / "landing" / "night", rows, files={f"image/{i}.png": bytes([i]) * 700_000 for i in range(7)})
    small = params(ingest={"partition_rows": 3, "partition_mb": 1})
    done = ingest(landed, small, tmp_path / "raw")
    assert [p.rows for p in done.batch.partitions["text"]] == [3, 3, 1]
    assert [p.rows for p in done.batch.partitions["image"]] == [1] * 7  # two would hold more than 1 MB
    order = [
        i for p in done.batch.partitions["text"] for i in pq.read_table(tmp_path / "raw" / p.path)["sample_id"].to_pylist()
    ]
    assert order == [row[0] for row in rows]


def test_other_columns_are_kept_as_text_and_never_replace_ours(tmp_path):
    header = [*HEADER, "speaker", "row", "has_image", "a/b", "refused"]
    done = ingest(
        write(tmp_path / "landing/night", [["a", "", "cat", "", "t", "007", "x", "y", "z", "w"]], header),
        params(),
        tmp_path / "raw",
    )
    (row,) = samples(done, tmp_path / "raw")
    assert row["speaker"] == "007"
    assert (row["row"], row["has_image"], row["refused"]) == (1, False, "")
    assert "a/b" not in row


def test_table_cells_become_canonical_json(tmp_path):
    tabular = {"modalities": {"vitals": {"kind": "tabular", "numbers": ["pulse"], "categories": ["sex"]}}}
    header = ["sample_id", "label", "sex", "pulse"]
    landed = write(tmp_path / "landing/night", [["a", "x", "f", "61.0"], ["b", "x", "", "70"], ["c", "x", "", ""]], header)
    done = ingest(landed, params(**tabular), tmp_path / "raw")
    data = [row["data"] for row in pq.read_table(tmp_path / "raw" / done.batch.partitions["vitals"][0].path).to_pylist()]
    assert data == [b'{"pulse":"61.0","sex":"f"}', b'{"pulse":"70","sex":null}']
    assert json.loads(data[0]) == {"pulse": "61.0", "sex": "f"}
    assert "no modality" in samples(done, tmp_path / "raw")[2]["refused"]


@pytest.mark.parametrize(
    ("text", "value"),
    [("12.5", 12.5), ("1970-01-02", 86400.0), ("1970-01-01T01:00:00+01:00", 0.0), ("1970-01-01T00:00:01.5Z", 1.5), ("", None)],
)
def test_times_are_seconds_or_iso(tmp_path, text, value):
    header = [*HEADER, "timestamp", "image_timestamp"]
    landed = write(tmp_path / "landing/night", [["a", "", "cat", "", "t", text, text]], header)
    (row,) = samples(ingest(landed, params(), tmp_path / "raw"), tmp_path / "raw")
    assert (row["timestamp"], row["image_timestamp"], row["refused"]) == (value, value, "")


@pytest.mark.parametrize("text", ["soon", "nan", "inf", "1e999", "2026-13-01", "٣"])
def test_a_time_that_is_none_refuses_its_row(tmp_path, text):
    assert "timestamp: " in reasons(tmp_path, [["a", "", "cat", "", "t", text]], [*HEADER, "timestamp"])[0]


def test_ids_used_twice_are_refused_everywhere_and_labels_compared(tmp_path):
    rows = [
        ["a", "", "cat", "", "t"],
        ["a", "", "dog", "", "t"],
        ["b", "", "cat", "", "t"],
        ["c", "", "x", "", "t"],
        ["c", "", "x", "", "t"],
    ]
    told = reasons(tmp_path, rows)
    assert told[0] == told[1] == "sample_id 'a' stands in 2 rows of the batch with different labels"
    assert told[2] == ""
    assert told[3] == told[4] == "sample_id 'c' stands in 2 rows of the batch"


@pytest.mark.parametrize("twins", [("Anna", "anna"), ("é", unicodedata.normalize("NFD", "é")), ("straße", "STRASSE")])
def test_twins_of_ids_and_of_paths_are_refused(tmp_path, twins):
    assert all(
        "differs from another only in case" in text for text in reasons(tmp_path, [[t, "", "cat", "", "t"] for t in twins])
    )
    files = {f"image/{t}.png": b"x" for t in twins}
    rows = [[f"s{i}", "", "cat", f"image/{t}.png", ""] for i, t in enumerate(twins)]
    assert all("another path only in case" in text for text in reasons(tmp_path, rows, files=files))


def test_a_cell_of_ten_megabytes_costs_its_row_only(tmp_path):
    told = reasons(tmp_path, [["a", "", "cat", "", "x" * 10_000_000], ["b", "", "cat", "", "t"]])
    assert told == ["text has 10000000 characters, at most 1000000 are allowed", ""]


def test_a_row_with_too_many_cells_a_strange_split_or_a_control_character_is_refused(tmp_path):
    rows = [
        ["a", "", "cat", "", "t", "train", "more"],
        ["b", "", "cat", "", "t", "dev"],
        ["c\x07", "", "cat", "", "t", ""],
        ["", "", "x", "", "t", ""],
    ]
    told = reasons(tmp_path, rows, [*HEADER, "split"])
    assert told[0] == "the row has 7 cells, the header 6"
    assert told[1] == "split is 'dev', expected train, val, test or nothing"
    assert told[2].endswith("holds control characters")
    assert told[3] == "sample_id is empty"


def test_a_modality_given_twice_and_none_at_all_are_refused(tmp_path):
    rows = [["a", "", "cat", "", "t", "t.txt"], ["b", "", "cat", "", "", ""]]
    told = reasons(tmp_path, rows, [*HEADER, "text_file_name"], {"t.txt": b"t"})
    assert told == ["text and text_file_name are both given; leave one of them empty", "has no modality: each of them is empty"]


@pytest.mark.parametrize(
    ("header", "match"),
    [
        (
            ["sample_id", "group"],
            "lacks the column label; image_file_name; text or text_file_name. Columns found: sample_id, group",
        ),
        (["sample_id;label;image_file_name;text"], "Columns found: sample_id;label"),
        ([*HEADER, "label"], "more than one column label"),
        (["sample_id", "label", "image_file_name", "text", "Group"], "has the column 'Group', which is not 'group': rename it"),
        (["sample_id", "label", "image_file_name", "text", " split"], "has the column ' split', which is not 'split'"),
        (["sample_id", "label", "image_file_name", "text", "Text_timestamp"], "which is not 'text_timestamp'"),
    ],
)
def test_a_header_that_breaks_the_contract_is_named(tmp_path, header, match):
    with pytest.raises(ContractBroken, match=match):
        ingest(write(tmp_path / "landing/night", [["a"] * len(header)], header), params(), tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (",".join(HEADER).encode() + b"\n", "has 0 rows, expected 1 to"),
        ("sample_id\nä".encode("latin-1"), "is not UTF-8"),
        ((",".join(HEADER) + "\na,b").encode("utf-16"), "is not UTF-8"),
        (",".join(HEADER).encode() + b'\n"a,,,', "line 2, is not CSV"),
        (b"", "is empty"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path, content, match):
    landed = write(tmp_path / "landing/night", ROWS)
    (tmp_path / "landing/night/metadata.csv").write_bytes(content)
    with pytest.raises(ContractBroken, match=match):
        digest(landed, params())


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    landed = write(tmp_path / "landing/night", ROWS, files=FILES)
    file = tmp_path / "landing/night/metadata.csv"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert ingest(landed, params(), tmp_path / "raw").refused == 0


def test_too_many_rows_are_refused(tmp_path):
    with pytest.raises(ContractBroken, match=r"has 3 rows, expected 1 to 2 \(ingest.batch_rows\)"):
        digest(write(tmp_path / "landing/night", ROWS), params(ingest={"batch_rows": 2}))


def test_what_has_not_landed_yet_waits(tmp_path):
    write(tmp_path / "landing" / "2026-11-04", ROWS)
    for name in ("2026-11-05", "no name", ".hidden"):
        (tmp_path / "landing" / name).mkdir()
    (tmp_path / "landing" / "2026-11-06").symlink_to(tmp_path / "landing" / "2026-11-04")
    assert [batch.name for batch in list_batches(str(tmp_path / "landing"))] == ["2026-11-04"]
    told = waiting(str(tmp_path / "landing"))
    assert "2026-11-05 has no metadata.csv yet: it is written last" in told
    assert "2026-11-06 is a symbolic link: land the folder itself" in told
    assert any("is no name for a batch" in text for text in told)
    assert len(told) == 3
    assert [batch.name for batch in look(str(tmp_path / "landing" / "2026-11-04")).batches] == ["2026-11-04"]


def test_a_landing_zone_that_is_not_there_or_of_another_scheme_is_named(tmp_path):
    with pytest.raises(NoData, match=r"the landing zone .*nowhere is not here"):
        look(str(tmp_path / "nowhere"))
    with pytest.raises(ContractBroken, match="a folder or s3://bucket/prefix, got 'ftp://x/y'"):
        look("ftp://x/y")


CELL = st.text(st.characters(codec="utf-8"), max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(CELL, CELL, CELL, st.sampled_from(["", "0.png", "1.png", "gone.png", "../x"]), CELL), min_size=1, max_size=12
    )
)
def test_rows_in_are_rows_accepted_and_refused_and_bytes_survive(tmp_path_factory, rows):
    tmp_path = tmp_path_factory.mktemp("round")
    files = {"0.png": b"\x00\xff", "1.png": b"\r\n"}
    landed = write(tmp_path / "landing/night", [list(row) for row in rows], files=files)
    done = ingest(landed, params(), tmp_path / "raw")
    told = samples(done, tmp_path / "raw")
    kept = [(name, group.strip(), label.strip()) for name, group, label, *_ in rows]
    assert [(row["sample_id"], row["group"], row["label"] or "") for row in told] == kept
    accepted = {row[0]: row for row, sample in zip(rows, told, strict=True) if not sample["refused"]}
    assert len(accepted) + done.refused == len(rows)
    # a text of white space alone is no text; separators such as \x1f are white space to str, not to bytes
    for name, content in (("image", lambda row: files.get(row[3])), ("text", lambda row: row[4].strip() and row[4].encode())):
        parts = done.batch.partitions[name]
        stored = {r["sample_id"]: r["data"] for p in parts for r in pq.read_table(tmp_path / "raw" / p.path).to_pylist()}
        wanted = {key: content(row) for key, row in accepted.items()}
        assert stored == {key: data for key, data in wanted.items() if data}
