"""`mlflow models serve`, the real server on loopback, answers what the bundle says."""

import base64
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from tasks.bundle import Bundle
from tests.score import small

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120
SAVE = """
import sys
from pathlib import Path
from tasks.promote.mirror import _save
_save(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def served(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of the model that promotion would have registered."""
    folder = tmp_path_factory.mktemp("served")
    work = folder / "work"  # as a workspace of the version's commit
    shutil.copytree(bundle.folder, work / "data/5_models/bundle")
    shutil.copytree(ROOT / "tasks", work / "tasks", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements.lock", work)
    plain = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", SAVE, str(work), str(folder / "model")], cwd=folder, env=plain, check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    del plain["PYTHONPATH"]  # the model brings its code
    command = [
        "serve",
        "--model-uri",
        str(folder / "model"),
        "--env-manager",
        "local",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "models", *command],
            cwd=folder,
            env=plain,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait(port, server, folder / "log")
            yield f"http://127.0.0.1:{port}/invocations"
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _wait(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and server.poll() is None:
        with socket.socket() as client:
            client.settimeout(5)
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise AssertionError(log.read_text())


def ask(address: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    answer = post(address, rows)
    assert answer.ok, answer.text
    found: list[dict[str, Any]] = answer.json()["predictions"]
    return found


def post(address: str, rows: list[dict[str, Any]]) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False  # no proxy stands between us and loopback
        return session.post(address, json={"dataframe_records": rows}, timeout=60)


def test_the_server_answers_what_the_bundle_says(served: str, bundle: Bundle, tmp_path: Path) -> None:
    samples = [small.raw(np.random.default_rng(seed)) for seed in range(3)]
    (tmp_path / "p.png").write_bytes(samples[1]["photo"] or b"")
    rows = [
        {"photo": base64.b64encode(samples[0]["photo"] or b"").decode(), "note": "seen at dusk", "age": 47, "sex": "f"},
        {"photo_file_name": str(tmp_path / "p.png"), "meter": base64.b64encode(samples[1]["meter"] or b"").decode()},
        {"note": "it ran away"},
    ]
    raw = {
        "photo": [samples[0]["photo"], samples[1]["photo"], None],
        "meter": [None, samples[1]["meter"], None],
        "note": [b"seen at dusk", None, b"it ran away"],
        "person": [b'{"age":"47","sex":"f"}', None, None],
    }
    said, found = bundle.predict_raw(raw), ask(served, rows)
    np.testing.assert_allclose([[row[f"label__{c}"] for c in ("cat", "dog", "elk")] for row in found], said["label"], atol=1e-5)
    assert [row["label"] for row in found] == [("cat", "dog", "elk")[best] for best in said["label"].argmax(axis=1)]
    np.testing.assert_allclose([row["size"] for row in found], said["size"][:, 0], rtol=1e-5)


def test_what_it_cannot_take_is_told(served: str) -> None:
    told = post(served, [{"photo": "p.png"}])
    assert told.status_code == 400
    assert "photo holds 'p.png'…, no base64; a file's path goes into photo_file_name" in told.json()["message"]
    told = post(served, [{"photo_file_name": "nowhere.png"}])
    assert told.status_code == 400
    assert (
        "photo_file_name holds 'nowhere.png', which cannot be read where the model is served: No such file"
        in told.json()["message"]
    )
