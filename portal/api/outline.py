"""A schema in words, a row for each member, for people who read it on a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portal.api.schemas import SCHEMAS, Schema

WORDS = {
    "string": "text",
    "integer": "whole number",
    "object": "object",
    "array": "list",
    "boolean": "true or false",
    "null": "null",
}
FORMATS = {"date": "day", "date-time": "moment", "email": "email address", "uri": "address", "abn": "ABN"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One member. `links_to` is the schema that it holds or lists, which has a table of its own."""

    name: str
    words: str
    description: str
    is_required: bool
    links_to: str


def rows_of(name: str) -> list[Row]:
    """The members of the schema of this name; those of objects inside it are named by their path."""
    return list(_rows(SCHEMAS[name]))


def _rows(schema: Schema, prefix: str = "") -> list[Row]:
    found = []
    for name, inner in schema.get("properties", {}).items():
        path = prefix + name
        found.append(
            Row(
                name=path,
                words=words_of(inner),
                description=inner.get("description", ""),
                is_required=name in schema.get("required", ()),
                links_to=_target(inner),
            )
        )
        if not _target(inner):
            found += _rows(inner, f"{path}.")
            found += _rows(inner.get("items", {}), f"{path}[].")
    return found


def words_of(schema: Schema) -> str:
    """`text of at most 200 characters, or null`."""
    if "$ref" in schema:
        return "object"
    kinds = schema.get("type", "object")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    words = " or ".join(_word(kind, schema) for kind in kinds)
    if "enum" in schema:
        words += f": {', '.join(str(value) for value in schema['enum'])}"
    return words + _bounds(schema)


def _word(kind: str, schema: Schema) -> str:
    if kind == "array":
        return f"list of {words_of(schema.get('items', {}))}"
    return FORMATS.get(schema.get("format", ""), WORDS[kind]) if kind != "null" else "null"


def _bounds(schema: Schema) -> str:
    if "maxLength" in schema:
        return f", at most {schema['maxLength']} characters"
    if "maxItems" in schema:
        return f", at most {schema['maxItems']}"
    if "maximum" in schema:
        return f", {schema.get('minimum', 0)} to {schema['maximum']}"
    return ""


def _target(schema: Any) -> str:
    named = schema.get("$ref") or schema.get("items", {}).get("$ref", "")
    return str(named).rpartition("/")[2]
