import os
import sys
from pathlib import Path

import pytest

from tasks.errors import ContractBroken
from tasks.ingest import digest, ingest
from tests.ingest.land import params, write
from tests.ingest.test_ingest import FILES, reasons, samples

OPENED: list[str] = []
WATCHING = []


def _watch(event, arguments):
    if WATCHING and event in {"open", "os.listdir", "os.scandir", "socket.connect"}:
        OPENED.append(f"{event} {arguments[0]}")


sys.addaudithook(_watch)

POISON = {
    "../secret.png": "`..`",
    "image/../../secret.png": "`..`",
    "/etc/passwd": "absolute path",
    "C:\\secret.png": "absolute path",
    "image\\1.png": "backslash",
    "https://example.org/1.png": "is a URL",
    "file:///etc/passwd": "is a URL",
    "image/1.png\0.txt": "holds a NUL character",
    "image/\u202egnp.1": "control characters",
    "./image/1.png": "`.`",
    "image//1.png": "empty part",
    "image/gone.png": "is not in the batch",
    "image/1.png/x": "is not in the batch",
    "image/" + "x" * 300: "is not in the batch",
    "image/" + "x/" * 600 + "y": "at most 1024",
    "image": "is no regular file",
    "image/link.png": "symbolic link",
    "inside.png": "symbolic link",
    "linked/secret.png": "symbolic link",
    "image/pipe": "is no regular file",
    "image/empty.png": "is empty",
    "image/large.png": "bytes, at most 1048576 are allowed (ingest.file_mb)",
}


@pytest.fixture
def poisoned(tmp_path):
    """A batch that names what it must not, a secret beside it, and links to that secret."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.png").write_bytes(b"secret")
    (tmp_path / "landing" / "secret.png").parent.mkdir()
    (tmp_path / "landing" / "secret.png").write_bytes(b"secret")
    folder = tmp_path / "landing" / "night"
    rows = [[f"s{i}", "", "cat", path, "t"] for i, path in enumerate(POISON)]
    files = {**FILES, "image/empty.png": b"", "image/large.png": bytes((1 << 20) + 1)}
    landed = write(folder, [*rows, ["good", "", "cat", "image/1.png", ""]], files=files)
    (folder / "image" / "link.png").symlink_to(outside / "secret.png")
    (folder / "inside.png").symlink_to(folder / "image" / "1.png")
    (folder / "linked").symlink_to(outside)
    os.mkfifo(folder / "image" / "pipe")
    return landed


def test_poisoned_paths_are_refused_one_by_one(poisoned, tmp_path):
    done = ingest(poisoned, params(ingest={"file_mb": 1}), tmp_path / "raw")
    told = {row["sample_id"]: row["refused"] for row in samples(done, tmp_path / "raw")}
    for i, (path, reason) in enumerate(POISON.items()):
        assert reason in told[f"s{i}"], path
    assert told["good"] == ""
    assert done.refused == len(POISON)


def test_nothing_outside_the_batch_is_opened(poisoned):
    limits = params(ingest={"file_mb": 1})
    OPENED.clear()
    WATCHING.append(True)
    try:
        digest(poisoned, limits)
    finally:
        WATCHING.clear()
    root = str(Path(poisoned.place).resolve())
    assert f"open {root}" in OPENED  # the hook is alive
    for text in OPENED:
        event, path = text.split(" ", 1)
        assert event == "open", text  # no listing, no connection
        # A name without folders was opened relative to the batch's own folder.
        assert path == root or ("/" not in path and path not in {"..", "secret.png"} and not path.startswith("/")), text


def test_metadata_that_is_a_link_or_a_folder_is_refused(tmp_path):
    landed = write(tmp_path / "landing" / "night", [["a", "", "cat", "", "t"]])
    file = tmp_path / "landing/night/metadata.csv"
    file.rename(tmp_path / "real.csv")
    file.symlink_to(tmp_path / "real.csv")
    with pytest.raises(ContractBroken, match="passes through a symbolic link"):
        digest(landed, params())
    file.unlink()
    file.mkdir()
    with pytest.raises(ContractBroken, match="is no regular file"):
        digest(landed, params())


def test_a_file_that_two_samples_share_is_read_for_both(tmp_path):
    assert reasons(tmp_path, [["a", "", "x", "image/1.png", ""], ["b", "", "x", "image/1.png", ""]]) == ["", ""]


def test_a_file_that_changes_while_it_is_read_stops_the_batch(tmp_path, monkeypatch):
    from tasks.ingest.folder import Folder

    landed = write(
        tmp_path / "landing/night", [["a", "", "x", "image/1.png", ""], ["b", "", "x", "image/1.png", ""]], files=FILES
    )
    read = Folder.read

    def reading(self, path, limit):
        content = read(self, path, limit)
        if path.endswith(".png"):
            (self.root / path).write_bytes(content + b"!")
        return content

    monkeypatch.setattr(Folder, "read", reading)
    with pytest.raises(ContractBroken, match=r"image/1.png changed while it was read; land the batch again"):
        ingest(landed, params(), tmp_path / "raw")
    assert not list(tmp_path.glob(".raw*"))
    assert not (tmp_path / "raw").exists()
