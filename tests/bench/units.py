"""What one of each thing costs: `python -m tests.bench.units` writes tests/bench/units.json, which `make scale` computes with.

CPU seconds (of all processes), bytes and requests, each from two small sizes far below those that the figures are held against
(`make bench-incremental`): the difference is what one more costs, the rest is what it costs at all.
"""

import argparse
import json
import logging
import re
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from time import process_time
from typing import Any

from tasks.files import file_digest
from tasks.index import Batch, Partition, write_index
from tasks.run.git import git
from tasks.run.settings import Settings
from tests.bench.bare import bare_workspace, command, stage_commands
from tests.bench.incremental import PARAMS
from tests.bench.landing import land
from tests.bench.nights import World, children_cpu_s

SIZES = (1000, 4000)  # samples
OBJECTS = (10, 40)
UNITS = Path(__file__).with_name("units.json")


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs=2, default=SIZES, help="samples")
    parser.add_argument("--out", type=Path, default=UNITS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-units-") as place:
        small, large = (night(Path(place) / str(size), size) for size in asked.sizes)
        units = fit(small, large, *asked.sizes)
        units["index_bytes_a_partition"] = index_bytes(Path(place))
        units["md5_gb_a_cpu_s"] = hashing(Path(place))
        units["s3"] = requests(Path(place))
    asked.out.write_text(json.dumps(units, indent=1, sort_keys=True) + "\n")
    print(json.dumps(units))
    return 0


def night(place: Path, samples: int) -> dict[str, Any]:
    """One night of bare stages: CPU seconds by stage, of ingest and of the runner, and sizes."""
    world = World(place, str(place / "remote"))
    world.make(PARAMS)
    land(world.landing / "night-1", 0, samples)
    machine, central = world.machine("units"), place / "central.git"
    committed, before = _git(central), children_cpu_s()
    opened = machine.open("units")
    cpu_s = {"open": children_cpu_s() - before}
    made = {what: number - committed[what] for what, number in _git(central).items()}
    s = Settings(machine.home, str(central), world.remote, machine.home / "cache", "")
    with bare_workspace(s, opened["commit"]) as folder:
        for stage, line in stage_commands(folder).items():
            before = children_cpu_s()
            command(["sh", "-c", line], folder, s)
            cpu_s[stage] = children_cpu_s() - before
            print(f"{samples} samples: {stage}: {cpu_s[stage]:.2f} CPU s", flush=True)
        sizes = {
            "raw": _bytes(folder / "data/1_raw"),
            "image": _bytes(folder / "data/1_raw/image"),
            "profiles": _bytes(folder / "data/2_profiles"),
            "features": _bytes(folder / "data/4_features"),
        }
    before = children_cpu_s()
    world.machine("runner").stages(opened, only="profile@image")
    cpu_s["runner"] = max(children_cpu_s() - before - cpu_s["profile@image"], 0.0)
    return {"cpu_s": cpu_s, "bytes": sizes, "git": made}


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _git(central: Path) -> dict[str, int]:
    told = dict(re.findall(r"([\w-]+): (\d+)", git("count-objects", "-v", cwd=central)))
    return {"objects": int(told["count"]) + int(told["in-pack"]), "kib": int(told["size"]) + int(told["size-pack"])}


def fit(small: dict[str, Any], large: dict[str, Any], few: int, many: int) -> dict[str, Any]:
    """Two sizes -> per stage what it costs at all and per sample; bytes per sample; index bytes per partition."""
    stages = {}
    for name, more in large["cpu_s"].items():
        slope = max((more - small["cpu_s"][name]) / (many - few), 0.0)
        stages[name] = {"cpu_s": round(more - slope * many, 3), "cpu_s_a_sample": round(slope, 7)}
    runner, image_mb = stages.pop("runner"), (large["bytes"]["image"] - small["bytes"]["image"]) / 1e6
    return {
        "sizes": [few, many],
        "stages": stages,
        "runner_cpu_s_a_task": runner["cpu_s"],
        "brought_cpu_s_a_mb": round(runner["cpu_s_a_sample"] * (many - few) / image_mb, 4),
        "bytes_a_sample": {what: round((more - small["bytes"][what]) / (many - few)) for what, more in large["bytes"].items()},
        "partition_rows": PARAMS["ingest"]["partition_rows"],
        "git_of_a_night": large["git"],
    }


def index_bytes(place: Path, count: int = 1000) -> int:
    """Bytes of the index in git that one more partition takes."""
    made = (Partition(f"image/night-1-5db85135-{number:03d}.parquet", 5000, "0" * 32) for number in range(count))
    write_index([Batch("night-1", "0" * 64, {"image": tuple(made)})], place / "index.json")
    return round((place / "index.json").stat().st_size / count)


def hashing(place: Path) -> float:
    """GB of md5 in a CPU second, as DVC and the runner hash."""
    path = place / "large"
    path.write_bytes(bytes(range(256)) * (1 << 20))
    began = process_time()
    file_digest(path, "md5")
    return round(path.stat().st_size / 1e9 / (process_time() - began), 2)


def requests(place: Path) -> dict[str, Any]:
    """Requests to an S3 remote by kind, fixed and per object: of `dvc push` and of `dvc pull` into an empty cache."""
    few, many = (_requests(place / f"s3-{count}", count) for count in OBJECTS)
    more = OBJECTS[1] - OBJECTS[0]
    return {
        what: {
            kind: {"fixed": max(round(few[what][kind] - slope * OBJECTS[0]), 0), "an_object": round(slope, 2)}
            for kind in sorted(many[what])
            if (slope := (many[what][kind] - few[what][kind]) / more) is not None
        }
        for what in many
    }


def _requests(place: Path, objects: int) -> dict[str, Counter[str]]:
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    seen: Counter[str] = Counter()
    app = DomainDispatcherApplication(create_backend_app)

    def counted(environ: dict[str, Any], start: Any) -> Any:
        seen["LIST" if "list-type" in environ.get("QUERY_STRING", "") else environ["REQUEST_METHOD"]] += 1
        return app(environ, start)

    server = make_server("127.0.0.1", 0, counted, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        return _pushed_and_pulled(place, objects, f"http://127.0.0.1:{server.port}", seen)
    finally:
        server.shutdown()


def _pushed_and_pulled(place: Path, objects: int, endpoint: str, seen: Counter[str]) -> dict[str, Counter[str]]:
    import boto3

    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=endpoint, **keys).create_bucket(Bucket=place.name)
    (place / "data").mkdir(parents=True)
    for number in range(objects):
        (place / "data" / f"{number}").write_bytes(f"{place.name} {number}".encode() * 1000)
    s = Settings(place / "home", "", "", place / "cache", "")
    git("init", "--quiet", cwd=place)
    remote = ["dvc", "remote", "modify", "s3"]
    for words in (
        ["dvc", "init", "--quiet"],
        ["dvc", "remote", "add", "--default", "s3", f"s3://{place.name}/dvc"],
        [*remote, "endpointurl", endpoint],
        [*remote, "access_key_id", "x"],
        [*remote, "secret_access_key", "x"],
        [*remote, "region", "us-east-1"],
        [*remote, "verify", "true"],
        ["dvc", "add", "--quiet", "data"],
    ):
        command(words, place, s)
    found = {}
    for what in ("push", "pull"):
        seen.clear()
        command(["dvc", what, "--quiet"], place, s)
        found[what] = Counter(seen)
        command(["rm", "-rf", ".dvc/cache", "data"], place, s)
    return found


if __name__ == "__main__":
    sys.exit(main())
