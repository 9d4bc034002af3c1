"""JSON Schema of everything that vidsr writes as JSON, from the type hints that `vidsr.options.serialize` writes by."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from fractions import Fraction
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from vidsr.options.serialize import TYPE_KEY
from vidsr.pipeline.estimate import Estimates
from vidsr.pipeline.report import RunReport
from vidsr.pipeline.verify import Verification

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FRACTION = {"type": "string", "pattern": r"^-?[0-9]+(/[0-9]+)?$", "description": "A fraction, such as 24000/1001."}
COMPUTED: dict[type, dict[str, Any]] = {Verification: {"ok": {"type": "boolean"}}}  # besides the fields of a class
DOCUMENTS: dict[str, tuple[type, str]] = {
    "plan": (Estimates, "Output of `vidsr plan --json`."),
    "report": (RunReport, "The file `<output>.report.json` of a run."),
}


def schema(kind: type, title: str) -> dict[str, Any]:
    """Return the JSON Schema of a dataclass.

    Every class in it is a definition with its description.
    """
    definitions: dict[str, Any] = {}
    reference = _schema(kind, definitions)
    return {"$schema": DIALECT, "title": title, **reference, "$defs": dict(sorted(definitions.items()))}


def _schema(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of one type hint; classes are added to ``definitions``."""
    plain = {str: "string", bool: "boolean", int: "integer", float: "number", NoneType: "null"}
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return {"anyOf": _members(inner, definitions)}
    if origin is Literal:
        return {"enum": list(inner)}
    if origin is tuple and inner[-1] is not Ellipsis:
        items = [_schema(one, definitions) for one in inner]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    if origin is tuple:
        return {"type": "array", "items": _schema(inner[0], definitions)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(inner[1], definitions)}
    if hint in plain:
        return {"type": plain[hint]}
    if hint is Fraction:
        return FRACTION
    if hint is Path:
        return {"type": "string", "description": "A path."}
    assert is_dataclass(hint), hint
    return _reference(hint, definitions)


def _members(members: tuple[Any, ...], definitions: dict[str, Any]) -> list[dict[str, Any]]:
    """Schemas of the members of a union.

    Of several classes each has its name as a type.
    """
    several = sum(map(is_dataclass, members)) > 1
    return [
        _schema(one, definitions) | ({"required": [TYPE_KEY]} if several and is_dataclass(one) else {})
        for one in members
    ]


def _reference(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """A reference to the definition of a dataclass."""
    name = kind.__name__
    if name not in definitions:
        definitions[name] = {}  # against endless recursion
        hints = get_type_hints(kind)
        names = [field.name for field in fields(kind) if field.init]
        properties = {one: _schema(hints[one], definitions) for one in names} | COMPUTED.get(kind, {})
        definitions[name] = {
            "type": "object",
            "description": (kind.__doc__ or "").partition("\n")[0].replace("``", "`"),
            "properties": {TYPE_KEY: {"const": name}, **properties},
            "required": list(properties),
            "additionalProperties": False,
        }
    return {"$ref": f"#/$defs/{name}"}
