"""DVC parses and checks dvc.yaml and dvc.lock anew at each of its steps, some 40 times for one stage; here once per content.

ruamel.yaml, which DVC parses with, takes 0.01 s for dvc.lock, and 0.05 s where its part in C is not installed; holding them
against their schemas takes as long again.
"""

import pickle
from functools import lru_cache
from typing import Any


def parse_once() -> None:
    """Let DVC in this process parse and check each text once; every caller gets a copy of its own, as before."""
    from dvc.utils import strictyaml
    from dvc.utils.serialize import _yaml

    parse = _yaml.parse_yaml

    @lru_cache(maxsize=64)
    def parsed(text: str, path: str) -> bytes:
        return pickle.dumps(parse(text, path))

    def from_memory(text: str, path: str, typ: str = "safe") -> Any:
        if typ != "safe":  # with comments, to be written again
            return parse(text, path, typ=typ)
        return pickle.loads(parsed(text, path))  # noqa: S301  written above

    _yaml.parse_yaml = strictyaml.parse_yaml = from_memory
    validate, valid = strictyaml.validate, set[tuple[int, str]]()

    def validated(data: Any, schema: Any, text: str | None = None, **where: Any) -> Any:
        known = (id(schema), text or "")  # schemas are DVC's own, made once
        if text is None or known not in valid:
            checked = validate(data, schema, text=text, **where)
            valid.add(known)
            return checked
        return data

    strictyaml.validate = validated
