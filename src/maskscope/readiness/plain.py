"""Nested frozen dataclasses as JSON values and back, by their types."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from maskscope.errors import RecordError

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """JSON values: dataclasses become objects by field, tuples become lists."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: to_plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, tuple | list):
        return [to_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {str(name): to_plain(each) for name, each in value.items()}
    return value


def from_plain(kind: type[T], value: Any, where: str = "") -> T:
    """The inverse of `to_plain`: a dataclass whose fields are themselves such, or tuples, mappings, numbers, words.

    Args:
        kind: the dataclass.
        value: JSON values.
        where: name of the place, for messages.

    Raises:
        RecordError: a field is missing or too many, or holds another kind of value.
    """
    return cast(T, _from(kind, value, where or kind.__name__))


def _from(kind: Any, value: Any, where: str) -> Any:
    origin = get_origin(kind)
    if kind is Any:
        return value
    if is_dataclass(kind):
        return _dataclass(cast(type, kind), value, where)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in get_args(kind):
            return None
        (inner,) = (each for each in get_args(kind) if each is not type(None))
        return _from(inner, value, where)
    if origin is tuple:
        _expect(isinstance(value, list), where, "a list", value)
        inner = get_args(kind)[0]
        return tuple(_from(inner, each, f"{where}[{index}]") for index, each in enumerate(value))
    if origin is Literal:
        _expect(value in get_args(kind), where, f"one of {', '.join(map(str, get_args(kind)))}", value)
        return value
    if origin is not None and issubclass(origin, Mapping):
        _expect(isinstance(value, dict), where, "an object", value)
        inner = get_args(kind)[1]
        return {name: _from(inner, each, f"{where}.{name}") for name, each in value.items()}
    if kind is float:
        _expect(isinstance(value, int | float) and not isinstance(value, bool), where, "a number", value)
        return float(value)
    same = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    _expect(same, where, kind.__name__, value)
    return value


def _dataclass(kind: type, value: Any, where: str) -> Any:
    _expect(isinstance(value, dict), where, "an object", value)
    hints = _hints(kind)
    if wrong := sorted(set(hints) ^ set(value)):
        raise RecordError(f"{where} has other fields than expected: {', '.join(wrong)}", "compute it again")
    return kind(**{name: _from(hint, value[name], f"{where}.{name}") for name, hint in hints.items()})


@lru_cache(maxsize=64)
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {each.name: hints[each.name] for each in fields(kind)}


def _expect(right: bool, where: str, expected: str, value: Any) -> None:
    if not right:
        raise RecordError(f"{where} is {str(value)[:60]!r}, expected {expected}", "compute it again")
