"""The files that stages hand to each other: where they lie, what they hold, and how they are read and written.

data/1_raw.json                 the index, in git: batch -> partitions (path, rows, md5)
data/reference.json             the same for the batches that encoders are fitted on
data/1_raw/samples/*.parquet    one row per landed row
data/1_raw/events/*.parquet     one row per landed event: what became known of samples afterwards
data/1_raw/<m>/*.parquet        one row per sample that has modality m
data/2_profiles/<m>/            a <partition>.parquet per raw partition, a row per raw row; its metadata: raw (md5)
data/3_manifest/                samples.parquet (accepted), quarantine.parquet, manifest.json, validation.json
data/4_features/<m>/            a <partition>.safetensors per raw partition; its metadata: raw (md5), sample_id
data/5_models/encoders/<m>/     weights.safetensors, encoder.json
data/5_models/candidates/<c>/   weights.safetensors, candidate.json, scores.parquet (validation samples)
data/5_models/bundle/           see tasks/bundle.py
data/6_reports/                 JSON, Parquet and pictures
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import ContractBroken, NoData

INDEX = Path("data/1_raw.json")
REFERENCE = Path("data/reference.json")
RAW = Path("data/1_raw")
PROFILES = Path("data/2_profiles")
MANIFEST = Path("data/3_manifest")
FEATURES = Path("data/4_features")
ENCODERS = Path("data/5_models/encoders")
CANDIDATES = Path("data/5_models/candidates")
BUNDLE = Path("data/5_models/bundle")
CHAMPION = Path("data/champion")
ANCHOR = Path("data/anchor")
REPORTS = Path("data/6_reports")
WITHDRAWN = "withdrawn"  # the event after which a sample is nowhere; every other event is named after a target
MEMO = Path(".memo")  # results of raw partitions and checkpoints that a runner brought; neither git's nor DVC's
CHECKPOINTS = MEMO / "checkpoint"

CHECKED = 1024  # rows looked at together: memory stays flat
NO_DATA = (
    "no data here: `make run` lands a batch and runs the night; to reproduce a version,"
    " `git fetch --tags .nightloom/central.git`, `git checkout fused-model@v1.0.0` and `dvc pull` first"
)


@dataclass(frozen=True)
class Partition:
    """One immutable Parquet file under data/1_raw/, known by its content."""

    path: str  # below data/1_raw/, e.g. image/2026-11-01-3fa9c1d2-000.parquet
    rows: int
    md5: str

    @property
    def stem(self) -> str:
        """The file's name without folder and suffix: what derived files are called."""
        return Path(self.path).stem


@dataclass(frozen=True)
class Batch:
    """One landed batch: its name, the digest that is its identity, and partitions by modality (and `samples`), or `events`."""

    name: str
    digest: str  # sha256 over metadata.csv and its files' sha256
    partitions: Mapping[str, tuple[Partition, ...]]

    @property
    def key(self) -> str:
        """Name and digest in one word; what partitions are named after."""
        return f"{self.name}-{self.digest[:8]}"

    @property
    def of_samples(self) -> bool:
        """Whether samples landed in it, else events."""
        return "samples" in self.partitions


def read_index(path: Path = INDEX) -> list[Batch]:
    """Read the batches of an index (`data/1_raw.json` or `data/reference.json`), in the order in which they were accepted.

    Raises:
        NoData: the index is empty or absent.
        ContractBroken: it is not what `write_index` writes.
    """
    try:
        raw = json.loads(path.read_text()) if path.is_file() else {"batches": []}
        batches = [
            Batch(b["name"], b["digest"], {m: tuple(Partition(**p) for p in ps) for m, ps in b["partitions"].items()})
            for b in raw["batches"]
        ]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ContractBroken(
            f"{path} is not an index of batches ({error}); restore it with `git checkout -- {path}`"
        ) from error
    if not batches:
        raise NoData(NO_DATA)
    return batches


def write_index(batches: list[Batch], path: Path = INDEX) -> None:
    """Write an index as canonical JSON."""
    rows = [
        {
            "name": b.name,
            "digest": b.digest,
            "partitions": {m: [{"path": p.path, "rows": p.rows, "md5": p.md5} for p in ps] for m, ps in b.partitions.items()},
        }
        for b in batches
    ]
    write_json(path, {"batches": rows})


def partitions(batches: list[Batch], name: str) -> list[tuple[Batch, Partition]]:
    """All partitions of a modality (or of `samples`) with their batches, in order."""
    return [(batch, partition) for batch in batches for partition in batch.partitions.get(name, ())]


def read_partition(partition: Partition, raw: Path = RAW) -> pa.Table:
    """Read one raw partition after comparing its content with the index.

    Raises:
        NoData: the file is absent.
        ContractBroken: its content is not what the index names.
    """
    path = raw / partition.path
    if not path.is_file():
        raise NoData(f"{path} is not here: `dvc pull {RAW}` brings it")
    content = path.read_bytes()
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != partition.md5:
        raise ContractBroken(
            f"{path} is not the file that was ingested (its md5 differs from {INDEX}): delete it, `dvc pull` it"
        )
    return pq.read_table(pa.BufferReader(content))


def read_samples(batches: list[Batch]) -> pa.Table:
    """All landed rows of these batches, with a column `batch` (the batch's key) before the others.

    Columns: `batch`, `row` int64, `sample_id`, `group` ("" when not given), `split` ("" when not given),
    `timestamp` float64 (s, null when not given), a string column per target (null = unlabelled), `has_<m>` bool and
    `<m>_timestamp` float64 (s, null when not given) per modality, `refused` ("" or why ingest refused the row).
    Columns that a batch does not have are null there.
    """
    tables = []
    for batch, partition in partitions(batches, "samples"):
        table = read_partition(partition)
        tables.append(table.add_column(0, "batch", pa.array([batch.key] * table.num_rows, pa.string())))
    return pa.concat_tables(tables, promote_options="default")


EVENTS = pa.schema(
    [("batch", pa.string()), ("row", pa.int64()), *((n, pa.string()) for n in ("sample_id", "event", "value", "refused"))]
)


def read_events(batches: list[Batch]) -> pa.Table:
    """All landed events of these batches in the order in which they hold: that of acceptance, then of rows.

    Columns: `batch` (the batch's key), `row` int64, `sample_id`, `event`, `value`, `refused` ("" or why ingest
    refused the row).
    """
    tables = [EVENTS.empty_table()]
    for batch, partition in partitions(batches, "events"):
        table = read_partition(partition)
        table = table.add_column(0, "batch", pa.array([batch.key] * table.num_rows, pa.string()))
        tables.append(table.select(EVENTS.names))
    return pa.concat_tables(tables)


@dataclass(frozen=True)
class Features:
    """Token features of the rows of one partition.

    Attributes:
        tokens: float32 [n, t, d], finite where the mask is on, no unit.
        mask: bool [n, t], all off where the row could not be decoded.
        time: float32 [n, t], seconds from the sample's start (0 where the kind has no time).
    """

    tokens: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    time: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        """Refuse other shapes and values than promised."""
        if self.tokens.ndim != 3 or self.mask.shape != self.tokens.shape[:2] or self.time.shape != self.mask.shape:
            raise ContractBroken(
                f"features must be tokens [n, t, d], mask [n, t], time [n, t];"
                f" got {self.tokens.shape}, {self.mask.shape}, {self.time.shape}"
            )
        for at in range(0, len(self.mask), CHECKED):
            part = slice(at, at + CHECKED)
            if not np.isfinite(self.tokens[part][self.mask[part]]).all():
                raise ContractBroken("features hold NaN or infinity where the mask is on")


def write_features(path: Path, features: Features, raw: str, samples: Sequence[str]) -> None:
    """Write features as safetensors.

    Args:
        path: the file.
        features: of n rows.
        raw: md5 of the raw partition that they come from.
        samples: the rows' n sample ids.
    """
    write_bytes(path, _features_content(features, raw, samples))


def _features_content(features: Features, raw: str, samples: Sequence[str]) -> bytes:
    """A file of features; what stands where the mask is off becomes 0, so that bytes do not depend on it."""
    from safetensors.numpy import save

    off = ~features.mask
    tokens, time = features.tokens.astype(np.float32), features.time.astype(np.float32)  # copies
    tokens[off], time[off] = 0, 0
    content = save({"tokens": tokens, "mask": features.mask, "time": time})
    size = int.from_bytes(content[:8], "little")
    header, body = json.loads(content[8 : 8 + size]), content[8 + size :]
    # Spliced in here, for the library writes metadata in another order each time.
    about = {"raw": raw, "sample_id": json.dumps(list(samples)), "sha256": hashlib.sha256(body).hexdigest()}
    text = json.dumps({"__metadata__": about, **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, body])


def read_features(path: Path) -> Features:
    """Read what `write_features` wrote.

    Raises:
        NoData: the file is absent.
        ContractBroken: it is damaged.
    """
    with opened_features(path) as file:
        return Features(file.get_tensor("tokens"), file.get_tensor("mask").astype(bool), file.get_tensor("time"))


def read_sample_ids(path: Path) -> list[str]:
    """The sample ids of a file of features, row by row; errors as in `read_features`."""
    with opened_features(path) as file:
        ids: list[str] = json.loads(file.metadata()["sample_id"])
    return ids


@contextmanager
def opened_features(path: Path) -> Iterator[Any]:
    """Give a file of features as the library's `safe_open` does: its header is read, its tensors are when asked for.

    Raises:
        NoData: the file is absent.
        ContractBroken: it is damaged; also when the block finds that.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise NoData(f"{path} is not here: `dvc pull`, or `dvc repro` the stage that makes it")
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ContractBroken(f"{path} is no file of features, or damaged ({error}): delete it, `dvc pull` it") from error


def check_features(path: Path, partition: Partition, shape: tuple[int, int]) -> None:
    """Hold a file of features against the partition that it should come from.

    Args:
        path: the file.
        partition: the raw one.
        shape: tokens per sample and features per token.

    Raises:
        ContractBroken: the file is damaged, or those of another partition or encoder.
    """
    features, samples = read_features(path), read_sample_ids(path)
    fits = features.tokens.shape == (partition.rows, *shape) and len(samples) == partition.rows
    if not fits or _features_content(features, partition.md5, samples) != path.read_bytes():
        raise ContractBroken(f"{path} is damaged, or holds features of other rows or of another encoder")


def write_profile(path: Path, table: pa.Table, raw: str) -> None:
    """Write the profile of the raw partition with this md5: a row per raw row."""
    write_bytes(path, _parquet_content(table.replace_schema_metadata({"raw": raw})))


def check_profile(path: Path, partition: Partition, schema: pa.Schema) -> None:
    """Hold a profile against the partition that it should be of.

    Raises:
        ContractBroken: the file is damaged, or that of another partition or kind.
    """
    content = path.read_bytes()
    try:
        table = pq.ParquetFile(pa.BufferReader(content)).read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ContractBroken(f"{path} is damaged: {error}") from error
    fits = table.num_rows == partition.rows and table.schema.remove_metadata().equals(schema)
    if not fits or _parquet_content(table.replace_schema_metadata({"raw": partition.md5})) != content:
        raise ContractBroken(f"{path} is damaged, or the profile of other rows")


def brought(final: Path, to: Path, check: Callable[[Path], None]) -> bool:
    """Take the result of one partition from `.memo/`, where whoever runs the stage may have put it; say whether it was taken.

    Without it the stage computes the same bytes; so what is damaged, or another partition's, is told and left alone.

    Args:
        final: the path that the result will have, relative to the repository's root.
        to: where to put it now.
        check: raises `ContractBroken` on a file that is not the wanted one.
    """
    path = MEMO / final
    if not path.is_file():
        return False
    try:
        check(path)
    except ContractBroken as problem:
        print(f"{problem}; computed instead", flush=True)
        return False
    try:
        os.link(path.resolve(), to)
    except OSError:  # another file system
        shutil.copyfile(path, to)
    return True


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a table under its final name, whole."""
    write_bytes(path, _parquet_content(table))


def _parquet_content(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def write_json(path: Path, value: object) -> None:
    """Write canonical JSON: sorted keys, two spaces, no NaN, newline at the end."""
    write_bytes(path, (json.dumps(value, sort_keys=True, indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read JSON that a stage wrote.

    Raises:
        NoData: the file is absent.
        ContractBroken: it is not JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise NoData(f"{path} is not here: `dvc pull`, or `dvc repro` the stage that makes it") from error
    except (ValueError, RecursionError) as error:
        raise ContractBroken(f"{path} is not JSON: {error}") from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, then rename it: nothing half-written ever has the final name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder that replaces `path` when the block ends well, and vanishes when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    temporary.chmod(0o755)  # mkdtemp gives 0o700
    try:
        yield temporary
        if path.exists():
            shutil.rmtree(path)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Hex digest of a file's content, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def folder_digest(folder: Path) -> str:
    """Hex sha256 over the sorted relative paths and contents of a folder's files: its identity, wherever it lies."""
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    lines = "".join(f"{file_digest(folder / name)}  {name}\n" for name in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def probability_columns(target: str, probabilities: npt.NDArray[np.float64]) -> dict[str, pa.Array]:
    """Probabilities [n, C] as the columns `<target>__<class index>` of a table."""
    return {f"{target}__{index}": pa.array(column) for index, column in enumerate(probabilities.T)}


def read_probabilities(table: pa.Table, target: str, classes: int) -> npt.NDArray[np.float64]:
    """Probabilities float64 [n, C] from what `probability_columns` wrote; null becomes NaN.

    Raises:
        ContractBroken: the table has not exactly one column per class.
    """
    wanted = [f"{target}__{index}" for index in range(classes)]
    found = [name for name in table.column_names if name.rpartition("__")[0] == target]
    if sorted(found) != sorted(wanted):
        raise ContractBroken(f"a table of probabilities must have the columns {wanted} for {classes} classes, got {found}")
    columns = [table[name].to_numpy(zero_copy_only=False).astype(np.float64) for name in wanted]
    return np.stack(columns, axis=1)
