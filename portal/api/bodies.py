"""What a call takes in: read strictly, held to its schema as a whole, before anything is stored or locked.

JSON that two readers could understand differently is refused: names given twice, numbers that are none (NaN), text that
is no Unicode, and more nesting than any schema here has.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from flask import Request

from portal import web
from portal.api import validation
from portal.api.schemas import SCHEMAS
from portal.api.validation import Fault
from portal.errors import BadRequest, PortalError, UnsupportedMediaType
from portal.oauth.tokens import AccessLookup

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
DEEPEST = 16


@dataclass(frozen=True, slots=True)
class Sent:
    """What came in. Two bodies that say the same have the same digest."""

    value: Any
    digest: bytes


class BodyKind(Protocol):
    """How a call reads its body, and how the description shows it."""

    @property
    def media_types(self) -> tuple[str, ...]: ...

    @property
    def schema(self) -> str:
        """A name of `schemas.SCHEMAS`."""

    @property
    def refuses(self) -> tuple[type[PortalError], ...]:
        """The refusals of its own that `read` may raise, for the description."""

    def read(self, request: Request, access: AccessLookup) -> Sent:
        """The body, whole and checked; `access` has passed the guard. Raises a PortalError for anything that cannot be taken."""


class UnreadableJson(BadRequest):
    kind = "unreadable-json"
    title = "The body could not be read as JSON"


@dataclass(frozen=True)
class JsonBody:
    """JSON under a schema. `answer` is the schema of what is told, whose further names cannot be sent.

    `rules` finds faults that no schema can say, in a body that fits its schema.
    """

    schema: str
    answer: str
    media_types: tuple[str, ...] = (JSON,)
    rules: Callable[[Any], Iterable[Fault]] | None = None
    refuses: tuple[type[PortalError], ...] = (UnreadableJson, validation.Invalid, validation.TaxFileNumberRefused)

    def read(self, request: Request, access: AccessLookup) -> Sent:
        check_media_type(request, self.media_types)
        value = parse(web.whole_body(request))
        validation.check_no_tax_file_number(value)
        known = SCHEMAS[self.answer].get("properties", {}).keys()
        validation.check(value, self.schema, read_only=known, rules=self.rules)
        return Sent(value, hashlib.sha256(_canonical(value)).digest())


def merge_patch(schema: str, answer: str) -> JsonBody:
    """A JSON merge patch (RFC 7396); plain `application/json` is taken as one too."""
    return JsonBody(schema, answer, (MERGE_PATCH, JSON))


def check_media_type(request: Request, allowed: Sequence[str]) -> None:
    """Raises UnsupportedMediaType, with `Accept-Patch` where that is the header for it (RFC 5789 §3.1)."""
    if request.mimetype in allowed:
        return
    raise UnsupportedMediaType(
        f"Nothing was changed. Send the body with the header Content-Type: {allowed[0]}.",
        headers={"Accept-Patch" if request.method == "PATCH" else "Accept": ", ".join(allowed)},
        detail="content type",
    )


def parse(raw: bytes) -> Any:
    """The value in a JSON text of RFC 8259 that is read in one way only. Raises UnreadableJson."""
    try:
        value = json.loads(raw.decode(), object_pairs_hook=_once_each, parse_constant=_no_number)
        _canonical(value)  # raises for half of a surrogate pair, which an escape can smuggle in
    except UnicodeError:
        raise _unreadable("It is not Unicode text in UTF-8.") from None
    except json.JSONDecodeError as error:
        raise _unreadable(f"It stops making sense at line {error.lineno}, column {error.colno}.") from None
    except _Ambiguous as error:
        raise _unreadable(str(error)) from None
    except RecursionError:
        raise _unreadable("It is nested too deeply.") from None
    except ValueError:
        raise _unreadable("It holds a number that is too long.") from None
    if _is_deeper(value, DEEPEST):
        raise _unreadable("It is nested too deeply.")
    return value


class _Ambiguous(ValueError):
    """Valid by the letter, yet no two readers need agree on it."""


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(pairs)
    if len(named) < len(pairs):
        raise _Ambiguous("An object in it names the same member twice.")
    return named


def _no_number(_constant: str) -> NoReturn:
    raise _Ambiguous("NaN and Infinity are not numbers of JSON.")


def _canonical(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _is_deeper(value: Any, levels: int) -> bool:
    """Level by level, since what is very deep must not be followed by recursion."""
    level = [value]
    for _ in range(levels):
        level = [inner for outer in level for inner in _inside(outer)]
    return bool(level)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _unreadable(reason: str) -> UnreadableJson:
    return UnreadableJson(f"Nothing was changed. {reason} Send one JSON value.", detail="unreadable JSON")
