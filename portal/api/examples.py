"""Examples, drawn from the schemas themselves, so that each has every member and fits by construction."""

from __future__ import annotations

from typing import Any

from portal.api.schemas import SCHEMAS, Schema

BY_FORMAT = {"date": "2026-06-30", "date-time": "2026-11-23T03:05:00+00:00", "email": "margaret.ashby@example.com"}


def of_schema(name: str) -> Any:
    """One value of the schema of this name."""
    return of(SCHEMAS[name])


def of(schema: Schema) -> Any:
    """One value that fits. A schema whose text is bound by a pattern brings an example of its own."""
    if "$ref" in schema:
        return of_schema(schema["$ref"].rpartition("/")[2])
    if "examples" in schema:
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object")
    kind = kind if isinstance(kind, str) else kind[0]
    if kind == "object":
        return {name: of(inner) for name, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [of(schema["items"])]
    if kind in ("integer", "number"):
        return schema.get("default", schema.get("minimum", 1))
    return BY_FORMAT.get(schema.get("format", ""), "text")
