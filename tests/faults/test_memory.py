"""Out of memory: one line that names the knob, never a traceback, never tried ten times."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
ROOM = 300 << 20  # bytes, on top of what the imports took
# Each allocates as a library does: Python, numpy, Arrow, torch.
GREEDY = {
    "bytes": "bytearray(4 << 30)",
    "numpy": "numpy.ones(1 << 29)",
    "arrow": "pyarrow.allocate_buffer(4 << 30)",
    "torch": "torch.ones(1 << 30)",
}
STAGE = """
import resource, sys
import numpy, pyarrow, torch
import tasks.stage
tasks.stage.check_environment = lambda: None
torch.ones(8), numpy.ones(8)
def {stage}():
    {greedy}
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + {room}, used + {room}))
tasks.stage.enter({stage})
"""
KNOBS = {"train": "train.batch", "pretrain": "pretrain.batch", "extract": "ingest.partition_rows"}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("stage", "library"), [("train", "torch"), ("pretrain", "numpy"), ("extract", "arrow"), ("train", "bytes")]
)
def test_a_stage_without_memory_names_its_knob(stage: str, library: str) -> None:
    code = STAGE.format(stage=stage, greedy=GREEDY[library], room=ROOM)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"nightloom: {stage} ran out of memory: lower {KNOBS[stage]}")
    assert done.stderr.count("\n") == 1
