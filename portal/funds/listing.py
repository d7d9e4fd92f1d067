"""The list of a business's funds, by name, a page at a time.

Pages are found by keyset: the row after the last one in the order (name, id), which one index serves however far
down the list a page is, and which neither skips nor repeats a fund when others come or go in between.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import Connection, Text, bindparam, cast, func, or_, select, tuple_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from portal.crypto import Keyring
from portal.db import table_of
from portal.funds import cursor as cursors
from portal.funds.models import Fund
from portal.statements import Prepared

SMALLEST_PAGE, LARGEST_PAGE, PAGE = 1, 100, 20

_fund = table_of(Fund)

SUMMARY_FIELDS = ("id", "code", "name", "status", "tags", "latest_period_update", "legal_entity_type", "abn")
SUMMARY_COLUMNS = tuple(cast(_fund.c.tags, Text).label("tags") if name == "tags" else _fund.c[name] for name in SUMMARY_FIELDS)
"""`tags` comes as the text of its JSON: funds share a few sets of tags, so `summary` reads each only once."""


@lru_cache(maxsize=1024)
def tags_of(text: str) -> tuple[str, ...]:
    """The tags in the text of their JSON array."""
    return tuple(json.loads(text))


def summary(row: Sequence[Any]) -> dict[str, Any]:
    """A row of SUMMARY_COLUMNS by field."""
    named = dict(zip(SUMMARY_FIELDS, row, strict=False))
    named["tags"] = tags_of(named["tags"])
    return named


@dataclass(frozen=True, slots=True)
class Filters:
    """What a fund must be to be listed; None asks for nothing. `q` is looked for in name and code, and as a whole ABN."""

    status: str | None = None
    tag: str | None = None
    q: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Funds by field of SUMMARY_FIELDS, and the cursor of the next page or None after the last one."""

    funds: list[dict[str, Any]]
    next_cursor: str | None


class elements_of(FunctionElement[str]):  # noqa: N801, a function in SQL
    """The texts in a JSON array, one a row, in the column `value`."""

    inherit_cache = True


@compiles(elements_of)
def _elements_on_postgresql(element: elements_of, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_array_elements_text({compiler.process(element.clauses, **options)})"


@compiles(elements_of, "sqlite")
def _elements_on_sqlite(element: elements_of, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@cache
def statement(*, status: bool, tag: bool, q: bool, after: bool) -> Prepared:
    """The query for one combination of filters, made once: sixteen in all."""
    query = (
        select(*SUMMARY_COLUMNS)
        .where(_fund.c.business_id == bindparam("business_id"))
        .order_by(_fund.c.name, _fund.c.id)
        .limit(bindparam("rows"))
    )
    if status:
        query = query.where(_fund.c.status == bindparam("status"))
    if tag:
        each = elements_of(_fund.c.tags).table_valued("value")
        query = query.where(select(each.c.value).where(each.c.value == bindparam("tag")).exists())
    if q:
        text = func.lower(bindparam("q"))
        query = query.where(
            or_(
                func.lower(_fund.c.name).contains(text, escape="\\"),
                func.lower(_fund.c.code).contains(text, escape="\\"),
                _fund.c.abn == bindparam("q_as_abn"),
            )
        )
    if after:
        query = query.where(tuple_(_fund.c.name, _fund.c.id) > tuple_(bindparam("after_name"), bindparam("after_id")))
    return Prepared(query)


def find_page(
    connection: Connection, business_id: str, filters: Filters, *, limit: int, cursor: str | None, keyring: Keyring
) -> Page:
    """One page of the business's funds in one statement. Raises BadRequest for a cursor that is not of this query."""
    values: dict[str, Any] = {"business_id": business_id, "rows": limit + 1}
    query = (business_id, filters.status, filters.tag, filters.q)
    if filters.status:
        values["status"] = filters.status
    if filters.tag:
        values["tag"] = filters.tag
    if filters.q:
        values["q"] = _literally(filters.q)
        values["q_as_abn"] = "".join(filters.q.split())
    if cursor:
        values["after_name"], values["after_id"] = cursors.read(keyring, query, cursor)
    chosen = statement(status=bool(filters.status), tag=bool(filters.tag), q=bool(filters.q), after=bool(cursor))
    funds = [summary(row) for row in chosen.rows(connection, **values)]
    if len(funds) <= limit:
        return Page(funds, None)
    last = funds[limit - 1]
    return Page(funds[:limit], cursors.make(keyring, query, (last["name"], last["id"])))


def _literally(text: str) -> str:
    """`text` with the characters that LIKE reads as patterns taken for what they are."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
