"""JSON for frozen dataclasses, without loss: fractions, paths, tuples, dictionaries and unions of dataclasses.

The type hints of the dataclass drive both directions. A fraction becomes ``"24000/1001"``, a path its text, a tuple a
list. A field whose hint allows several dataclasses gets the class name as ``"type"``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from fractions import Fraction
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")

TYPE_KEY = "type"  # names the class of an object where several are possible


def to_json(value: object, hint: Any = None) -> Any:
    """Return ``value`` as JSON values (dict, list, str, numbers, None); ``hint`` is its declared type, if known.

    Raises:
        TypeError: the value, or a part of it, has no JSON form here.
    """
    match value:
        case Enum():
            return value.value
        case None | bool() | int() | float() | str():
            return value
        case Fraction() | Path():
            return str(value)
        case tuple() | list():
            hints = _item_hints(_member(hint, tuple), len(value))
            return [to_json(item, one) for item, one in zip(value, hints, strict=True)]
        case Mapping():
            inner = get_args(_member(hint, dict))
            return {str(key): to_json(item, inner[1] if inner else None) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        hints_of = _hints(type(value))
        record = {one.name: to_json(getattr(value, one.name), hints_of[one.name]) for one in fields(value) if one.init}
        return {TYPE_KEY: type(value).__name__, **record} if len(_dataclasses(hint)) > 1 else record
    raise TypeError(f"{type(value).__name__} has no JSON form: add it to {__name__}")


def from_json(kind: type[T], data: Any) -> T:
    """Return the value of type ``kind`` (a dataclass, or any hint that one may contain) that ``to_json`` wrote.

    Raises:
        TypeError, ValueError, KeyError: the data does not have that type.
    """
    return cast(T, _read(kind, data))


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _read(hint: Any, data: Any) -> Any:
    origin = get_origin(hint)
    if hint is Any or hint is object:
        return data
    if origin in (Union, UnionType):
        return _read(_choose(hint, data), data)
    if origin is Literal:
        if data not in get_args(hint):
            raise ValueError(f"{data!r} is not one of {', '.join(map(repr, get_args(hint)))}")
        return data
    if origin in (tuple, list):
        items = [_read(one, item) for one, item in zip(_item_hints(hint, len(data)), data, strict=True)]
        return tuple(items) if origin is tuple else items
    if origin is not None:  # dict[str, ...], Mapping[str, ...]
        return {key: _read(get_args(hint)[1], item) for key, item in data.items()}
    if hint is NoneType:
        return None
    if isinstance(hint, type) and is_dataclass(hint):
        hints = _hints(hint)
        return hint(**{name: _read(hints[name], item) for name, item in data.items() if name != TYPE_KEY})
    if issubclass(hint, tuple):  # with named fields
        return hint(*data)
    if issubclass(hint, Fraction | Path | Enum):
        return hint(data)
    if not isinstance(data, (int, float) if hint is float else hint):
        raise TypeError(f"{data!r} is not of type {hint.__name__}")
    return data


def _choose(hint: Any, data: Any) -> Any:
    """Return the member of a union that ``data`` was written from."""
    members = get_args(hint)
    if data is None and NoneType in members:
        return NoneType
    if isinstance(data, dict) and _dataclasses(hint):
        classes = _dataclasses(hint)
        return classes[0] if len(classes) == 1 else {one.__name__: one for one in classes}[data[TYPE_KEY]]
    for member in members:  # bool before int, whatever the order: True is an int to Python
        if type(data) is member:
            return member
    return next(one for one in members if one is not NoneType and _fits(one, data))


def _fits(member: Any, data: Any) -> bool:
    origin = get_origin(member)
    if origin is Literal:
        return data in get_args(member)
    if origin in (tuple, list):
        return isinstance(data, list)
    if origin is not None:
        return isinstance(data, dict)
    if isinstance(member, type) and issubclass(member, Fraction | Path):
        return isinstance(data, str)
    return member is float and isinstance(data, int)


def _item_hints(hint: Any, count: int) -> tuple[Any, ...]:
    """Return the type hint of each of ``count`` items of a tuple or list."""
    inner = get_args(hint)
    if not inner:
        return (None,) * count
    if get_origin(hint) is list or (len(inner) == 2 and inner[1] is Ellipsis):
        return (inner[0],) * count
    return inner


def _member(hint: Any, origin: type) -> Any:
    """Return the tuple or dictionary member of a union hint; a hint that is no union, as it is."""
    if get_origin(hint) not in (Union, UnionType):
        return hint
    wanted = (tuple, list) if origin is tuple else (dict, Mapping)
    return next((one for one in get_args(hint) if get_origin(one) in wanted or one in wanted), None)


def _dataclasses(hint: Any) -> list[type]:
    """Return the dataclasses that a union hint allows; none if it is no union."""
    if get_origin(hint) not in (Union, UnionType):
        return []
    return [one for one in get_args(hint) if is_dataclass(one) and isinstance(one, type)]
