"""docker/compose.yaml as data: variables filled in as Docker Compose does."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).resolve().parent.parent.parent / "docker/compose.yaml"
VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?:(?P<how>:[?-])(?P<text>[^}]*))?\})")


class Unset(Exception):
    """A variable that must be set is not."""


def read(variables: Mapping[str, str]) -> dict[str, Any]:
    """The file with its variables filled in.

    Raises:
        Unset: one that is `${NAME:?…}` has no value.
    """
    content: dict[str, Any] = filled(yaml.safe_load(FILE.read_text()), variables)
    return content


def filled(value: Any, variables: Mapping[str, str]) -> Any:
    """A value of the file with its variables filled in."""
    if isinstance(value, dict):
        return {key: filled(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, variables) for item in value]
    if not isinstance(value, str):
        return value

    def fill(found: re.Match[str]) -> str:
        if found["dollar"]:
            return "$"
        given = variables.get(found["name"], "")
        if not given and found["how"] == ":?":
            raise Unset(f"{found['name']}: {found['text']}")
        return given or found["text"] or ""

    return VARIABLE.sub(fill, value)
