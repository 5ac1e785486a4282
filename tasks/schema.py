"""Nested dictionaries as dataclasses, each value held against its annotation."""

import dataclasses
import sys
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

from tasks.errors import UnknownName, WrongValue


def build(cls: Any, raw: Mapping[str, Any], where: str) -> Any:
    """Make a dataclass of a mapping.

    Args:
        cls: the dataclass.
        raw: what YAML gave.
        where: its key in params.yaml, for messages; "" at the top.

    Raises:
        UnknownName: a key that the dataclass does not have.
        WrongValue: a value of another type, or a key missing.
    """
    if not isinstance(raw, Mapping):
        raise WrongValue(f"params.yaml: {where} must be a mapping, got {raw!r}")
    hints = typing.get_type_hints(cls)
    values = {}
    for key, value in raw.items():
        place = f"{where}.{key}" if where else str(key)
        if key not in hints:
            raise UnknownName("key in params.yaml:", place, hints)
        values[key] = _value(hints[key], value, place)
    try:
        return cls(**values)
    except TypeError as error:
        raise WrongValue(f"params.yaml: {where}: {error}") from error


def _value(kind: Any, value: Any, where: str) -> Any:
    """Check one value against its annotation: nested dataclass, tuple, Literal, union, or a plain type."""
    origin = typing.get_origin(kind)
    if dataclasses.is_dataclass(kind):
        return value if isinstance(value, kind) else build(kind, value, where)  # type: ignore[arg-type]
    if origin is Literal:
        return _choice(typing.get_args(kind), value, where)
    if origin is tuple:
        return _list(typing.get_args(kind)[0], value, where)
    if origin in (types.UnionType, typing.Union):
        inner = next(k for k in typing.get_args(kind) if k is not type(None))
        return None if value is None else _value(inner, value, where)
    return _scalar(kind, value, where) if kind in (bool, int, float, str) else value


def _choice(known: tuple[Any, ...], value: Any, where: str) -> Any:
    if value not in known:
        raise WrongValue(f"params.yaml: {where} must be one of {', '.join(map(str, known))}, got {value!r}")
    return value


def _list(kind: Any, value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise WrongValue(f"params.yaml: {where} must be a list, got {value!r}")
    return tuple(_value(kind, item, f"{where}[{i}]") for i, item in enumerate(value))


def _scalar(kind: type, value: Any, where: str) -> Any:
    if kind is float:
        return number(value, where)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise WrongValue(f"params.yaml: {where} must be of type {kind.__name__}, got {value!r}")
    return value


def number(value: Any, where: str) -> float:
    """A finite number.

    Raises:
        WrongValue: it is something else.
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) <= sys.float_info.max:
        hint = "; to YAML that is a text, write 1.0e-3" if isinstance(value, str) and "e" in value.lower() else ""
        raise WrongValue(f"params.yaml: {where} must be a finite number, got {value!r}{hint}")
    return float(value)
