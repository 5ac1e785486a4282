"""What 10^6, 10^8 and 10^10 samples would cost: `python -m tests.bench.scale`, from measured unit costs.

Reads tests/bench/units.json and checks itself against what `make bench-incremental` measured (tests/bench/incremental.json):
exit code 1 when a figure of either night is off by more than 20 %. `--write` puts the tables into docs/scale.md.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, inf
from pathlib import Path
from typing import Any

from tasks.params import Ingest

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "scale.md"
OFF = 0.2
SIZES = (10**6, 10**8, 10**10)
NEW_SHARE = 1 / 1000  # of all samples, each night
ONCE = ("pretrain",)  # not on a normal night: the reference stays
FOLLOWS_NEW = ("open", "profile", "extract")
LISTED = 1000  # names in one answer of S3


@dataclass(frozen=True)
class Night:
    """What one night costs."""

    cpu_s: float
    raw_bytes: int
    gets: int
    puts: int
    lists: int
    read_bytes: int


@dataclass(frozen=True)
class House:
    """So many samples in so many partitions."""

    units: Mapping[str, Any]
    samples: int
    new: int
    rows: int  # of a partition

    @property
    def modalities(self) -> int:
        """How many kinds of raw data a sample has."""
        return sum(name.startswith("profile@") for name in self.units["stages"])

    def partitions(self, samples: int) -> int:
        """Files that so many samples are cut into: those of each modality, and one of ids and targets per batch."""
        return self.modalities * ceil(samples / self.rows) + ceil(samples / Ingest.batch_rows)

    @property
    def tasks(self) -> int:
        """Airflow's tasks of a night: the stages, and open, admit, docs, measure, close, verify, promote, again."""
        return len(self.units["stages"]) - 1 + 8

    def first(self) -> Night:
        """All samples are new."""
        return self._night(self.samples, self.samples, everything=True)

    def second(self) -> Night:
        """Few are, on a cold machine."""
        return self._night(self.samples + self.new, self.new, everything=False)

    def _night(self, total: int, new: int, everything: bool) -> Night:
        size = self.units["bytes_a_sample"]
        results = 2 * self.modalities * ceil(total / self.rows)  # files of profiles and features
        fresh = 2 * self.modalities * ceil(new / self.rows)
        pull, push = (self.units["s3"][what] for what in ("pull", "push"))
        files = self.partitions(new) + results
        return Night(
            cpu_s=sum(self.stage_s(name, total, new, everything) for name in self.units["stages"])
            + new * size["raw"] / 1e6 * self.units["brought_cpu_s_a_mb"],
            raw_bytes=new * size["raw"],
            gets=round(files * pull["GET"]["an_object"] + self.tasks * pull["GET"]["fixed"]),
            puts=round((self.partitions(new) + 2 * fresh) * push["PUT"]["an_object"] + self.tasks * push["PUT"]["fixed"]),
            lists=round(self.tasks * (pull["LIST"]["fixed"] + push["LIST"]["fixed"]) + results / LISTED),
            read_bytes=new * size["raw"] + total * (size["profiles"] + size["features"]),
        )

    def stage_s(self, name: str, total: int, new: int, everything: bool) -> float:
        """CPU seconds of one stage's task, the runner's own included; `open` is no stage."""
        kind, unit = name.split("@")[0], self.units["stages"][name]
        if kind == "open":
            return 0.0
        runner = float(self.units["runner_cpu_s_a_task"])
        if kind in ONCE and not everything:
            return runner
        return runner + unit["cpu_s"] + unit["cpu_s_a_sample"] * (new if kind in FOLLOWS_NEW else total)


def rows_of(units: Mapping[str, Any], most_rows: int, most_mb: int) -> int:
    """Rows of a partition, by `ingest.partition_rows` and `ingest.partition_mb`: images are the largest."""
    return min(most_rows, max(1, most_mb * 1_000_000 // max(1, units["bytes_a_sample"]["image"])))


def check(units: Mapping[str, Any], measured: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    """Figure, computed, measured: of the two nights that were run."""
    house = House(units, measured["samples"], measured["new"], units["partition_rows"])
    first, second = house.first(), house.second()
    return [
        ("first night, CPU s of all stages", first.cpu_s, measured["cpu_s"]["first"]),
        ("second night, CPU s of all stages", second.cpu_s, measured["cpu_s"]["second"]),
        ("first night, raw MB", first.raw_bytes / 1e6, measured["raw_bytes_first"] / 1e6),
        ("second night, raw MB read", second.raw_bytes / 1e6, measured["raw_bytes_read"] / 1e6),
    ]


def checked_table(rows: list[tuple[str, float, float]]) -> str:
    """The check, as Markdown."""
    lines = ["| figure | computed | measured | off |", "| --- | ---: | ---: | ---: |"]
    lines += [f"| {name} | {ours:,.1f} | {theirs:,.1f} | {(ours - theirs) / theirs:+.0%} |" for name, ours, theirs in rows]
    return "\n".join(lines)


def sized_table(units: Mapping[str, Any]) -> str:
    """The three sizes, as Markdown."""
    rows = rows_of(units, Ingest.partition_rows, Ingest.partition_mb)
    houses = [House(units, size, round(size * NEW_SHARE), rows) for size in SIZES]
    nights = [(house.first(), house.second()) for house in houses]
    size = units["bytes_a_sample"]
    index = [house.partitions(house.samples) * units["index_bytes_a_partition"] for house in houses]
    told: list[tuple[str, list[str]]] = [
        ("new each night", [f"{house.new:,}" for house in houses]),
        ("raw data", [_bytes(house.samples * size["raw"]) for house in houses]),
        ("features", [_bytes(house.samples * size["features"]) for house in houses]),
        (f"partitions (of {rows:,} rows)", [f"{house.partitions(house.samples):,}" for house in houses]),
        ("stages · Airflow tasks a night", [f"{len(units['stages']) - 1} · {house.tasks}" for house in houses]),
        ("index in git, each night anew", [_bytes(number) for number in index]),
        ("git objects a night", [f"{units['git_of_a_night']['objects']}" for _ in houses]),
        ("first night: worker hours", [_number(first.cpu_s / 3600) for first, _ in nights]),
        ("a night: worker hours", [_number(second.cpu_s / 3600) for _, second in nights]),
        ("… of them in train, plain and evaluate", [_number(_fitting(house) / 3600) for house in houses]),
        ("a night: S3 GET", [_number(second.gets) for _, second in nights]),
        ("a night: S3 PUT", [_number(second.puts) for _, second in nights]),
        ("a night: S3 LIST", [_number(second.lists) for _, second in nights]),
        ("a night: a cold worker reads", [_bytes(second.read_bytes) for _, second in nights]),
    ]
    lines = ["| | " + " | ".join(f"10{_power(size)}" for size in SIZES) + " |", "| --- |" + " ---: |" * len(SIZES)]
    return "\n".join(lines + [f"| {name} | {' | '.join(cells)} |" for name, cells in told])


def _fitting(house: House) -> float:
    total = house.samples + house.new
    names = [name for name in house.units["stages"] if name.split("@")[0] in {"train", "plain", "evaluate"}]
    return sum(house.stage_s(name, total, house.new, False) for name in names)


def _power(size: int) -> str:
    return "".join("⁰¹²³⁴⁵⁶⁷⁸⁹"[int(digit)] for digit in str(len(str(size)) - 1))


def _bytes(number: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:,.3g} PB" if number < 1000 else f"{number:,.0f} PB"


def _number(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.1f}"


def limits(units: Mapping[str, Any]) -> str:
    """Up to how many samples each part holds, as Markdown; the first to break comes first."""
    rows = rows_of(units, Ingest.partition_rows, Ingest.partition_mb)
    modalities = House(units, 1, 1, 1).modalities
    size, stages = units["bytes_a_sample"], units["stages"]
    slowest = max(unit["cpu_s_a_sample"] for name, unit in stages.items() if name.split("@")[0] in {"train", "plain"})
    validate = stages["validate"]["cpu_s_a_sample"]
    found = [
        (_reach(8 * 3600, slowest), "one candidate is fitted for 8 h on one core", "`threads`, `device: cuda`, `train.epochs`"),
        (_reach(8 * 3600, validate), "`validate` takes 8 h: it reads every profile", "nothing yet"),
        (64e9 / size["features"], "all features fill 64 GB of a worker's memory", "smaller `width` or fewer tokens"),
        (2e12 / (size["features"] + size["profiles"]), "results fill a worker's disk of 2 TB", "a larger disk"),
        (
            100e6 / units["index_bytes_a_partition"] * rows / modalities,
            "the index, one file in git, is 100 MB, what git servers refuse",
            "`ingest.partition_rows`, `ingest.partition_mb`",
        ),
        (
            8 * 3600 * 100 * rows / (2 * modalities),
            "a cold worker fetches results for 8 h at 100 objects a second",
            "`ingest.partition_rows`, a warm cache",
        ),
    ]
    lines = ["| samples | what breaks | what moves it |", "| ---: | --- | --- |"]
    return "\n".join(
        lines + [f"| {number:.0e} | {what} | {how} |".replace("e+", "e") for number, what, how in sorted(found) if number < inf]
    )


def _reach(budget_s: float, a_sample_s: float) -> float:
    """Samples that fit into a budget; infinite where one more costs nothing that could be measured."""
    return budget_s / a_sample_s if a_sample_s else inf


def main() -> int:
    """Compute, print, check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=Path, default=HERE / "units.json")
    parser.add_argument("--measured", type=Path, default=HERE / "incremental.json")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/scale.md")
    asked = parser.parse_args()
    for file, how in ((asked.units, "python -m tests.bench.units"), (asked.measured, "make bench-incremental")):
        if not file.is_file():
            raise SystemExit(f"{file} is not here: `{how}` measures it")
    units, measured = json.loads(asked.units.read_text()), json.loads(asked.measured.read_text())
    rows = check(units, measured)
    tables = {"check": checked_table(rows), "sizes": sized_table(units), "limits": limits(units)}
    print("\n\n".join(tables.values()))
    if asked.write:
        PAGE.write_text(written(PAGE.read_text(), tables))
    off = {name: round((ours - theirs) / theirs, 3) for name, ours, theirs in rows}
    passed = all(abs(share) <= OFF for share in off.values())
    print(json.dumps({"passed": passed, "off": off, "samples": measured["samples"], "new": measured["new"]}))
    return 0 if passed else 1


def written(page: str, tables: Mapping[str, str]) -> str:
    """A page with tables between its marks, `<!-- check -->` to `<!-- end -->`."""
    for name, table in tables.items():
        before, _, rest = page.partition(f"<!-- {name} -->\n")
        page = f"{before}<!-- {name} -->\n{table}\n<!-- end -->{rest.partition('<!-- end -->')[2]}"
    return page


if __name__ == "__main__":
    sys.exit(main())
