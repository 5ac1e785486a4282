"""What DVC parses, it parses once."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = """
from dvc.utils import strictyaml
from dvc.utils.serialize import _yaml
from tasks.run.parsing import parse_once

calls = []
plain = _yaml.parse_yaml
_yaml.parse_yaml = lambda text, path, typ="safe": (calls.append(path), plain(text, path, typ=typ))[1]
parse_once()
text = "a: {b: [1, 0x10, yes, 2026-01-02]}  # why"
first = strictyaml.load("x.yaml")[0]
first["a"]["b"].append("mine")
assert strictyaml.load("x.yaml")[0] == _yaml.load_yaml("x.yaml") == plain(text, ""), "what one caller changes, another sees"
assert calls == ["x.yaml"], calls
assert "# why" in _yaml.dumps_yaml(_yaml.parse_yaml_for_update(text, "x.yaml"))
open("x.yaml", "w").write("a: 2")
assert strictyaml.load("x.yaml")[0] == {"a": 2}
"""


def test_each_content_is_parsed_once_and_every_caller_has_its_own(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("a: {b: [1, 0x10, yes, 2026-01-02]}  # why")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
