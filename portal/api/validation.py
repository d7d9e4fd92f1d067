"""Does a body fit its schema? Held to JSON Schema 2020-12 as OpenAPI publishes it, and every fault told at once.

Faults are told as RFC 9457 §3 shows it: a list `errors`, each with a JSON pointer (RFC 6901) as a URI fragment and a
sentence. No sentence repeats a value that was sent, since values are people's data and answers are kept in logs of
others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from portal.api.schemas import AMOUNT, SCHEMAS, VISIBLE_LINE, reference
from portal.businesses import abn
from portal.errors import Unprocessable

MOST_FAULTS = 50
LONGEST_NAME = 64
ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Fault = tuple[Sequence[str | int], str]
"""Where in the body, step by step from its root, and what is wrong there in words that follow the name."""

formats = FormatChecker(formats=())


@formats.checks("date", raises=ValueError)
def _is_date(value: object) -> bool:
    return not isinstance(value, str) or (ISO_DATE.fullmatch(value) is not None and date.fromisoformat(value) is not None)


@formats.checks("abn")
def _is_abn(value: object) -> bool:
    return not isinstance(value, str) or abn.is_valid(value)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """In a schema (ECMA-262) `$` is the very end; in Python it also stands before a last line feed."""
    return re.compile(re.sub(r"(?<!\\)\$$", r"\\Z", pattern))


def _pattern(_validator: Any, pattern: str, value: object, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and _compiled(pattern).search(value) is None:
        yield ValidationError("does not match")


def _unique_items(_validator: Any, wanted: bool, value: object, _schema: Any) -> Iterator[ValidationError]:
    """In one pass. The library compares each with each other when they cannot be sorted, which a long list makes endless."""
    if wanted and isinstance(value, list) and len({json.dumps(one, sort_keys=True) for one in value}) < len(value):
        yield ValidationError("holds the same twice")


Validator = extend(Draft202012Validator, {"pattern": _pattern, "uniqueItems": _unique_items})


@cache
def _validator_of(name: str) -> Any:
    return Validator({**reference(name), "components": {"schemas": SCHEMAS}}, format_checker=formats)


class Invalid(Unprocessable):
    """422: the body was read, and what it says cannot be taken."""

    kind = "invalid-body"
    message = "Nothing was changed. `errors` names each fault by its place in the body; correct them and send it again."

    def __init__(self, faults: Iterable[Fault]) -> None:
        told = [{"pointer": pointer(place), "detail": detail} for place, detail in list(faults)[:MOST_FAULTS]]
        super().__init__(members={"errors": told}, detail=f"{len(told)} faults in the body")


class TaxFileNumberRefused(Unprocessable):
    """422: somebody's tax file number was about to be sent. Neither name nor value is logged."""

    kind = "tax-file-number-refused"
    title = "Tax file numbers are not taken"
    message = "Nothing was stored or logged. Leave out what `errors` names: this portal neither takes nor tells tax file numbers."

    def __init__(self, places: Iterable[Sequence[str | int]]) -> None:
        told = [{"pointer": pointer(place), "detail": "is a tax file number by its name"} for place in list(places)[:MOST_FAULTS]]
        super().__init__(members={"errors": told}, detail="a tax file number was sent")


def check(value: Any, name: str, *, read_only: Iterable[str] = (), rules: Callable[[Any], Iterable[Fault]] | None = None) -> None:
    """Raises Invalid with every place at which `value` does not keep the schema `name`, or else the rules.

    `read_only` are names that answers show and nobody may send; they are refused as such.
    """
    known_elsewhere = frozenset(read_only)
    faults: dict[tuple[str | int, ...], str] = {}
    for error in _validator_of(name).iter_errors(value):
        for place, detail in _faults_of(error, known_elsewhere):
            faults.setdefault(tuple(place), detail)
        if len(faults) >= MOST_FAULTS:
            break  # no more are told, and a long list may hold a hundred thousand
    if not faults and rules is not None:
        faults = {tuple(place): detail for place, detail in rules(value)}
    if faults:
        raise Invalid(faults.items())


def check_no_tax_file_number(value: Any) -> None:
    """Raises TaxFileNumberRefused when anything in the body is named like one, however deep it stands."""
    found = [place for place, name in _names(value) if is_tax_file_number(name)]
    if found:
        raise TaxFileNumberRefused(found)


def is_tax_file_number(name: str) -> bool:
    """Whether something of this name is a tax file number: `tfn`, `member_tfn`, `TaxFileNumber`, `tax-file-no`."""
    letters = re.sub(r"[^a-z]", "", name.lower())
    return "tfn" in letters or "taxfile" in letters


def pointer(place: Sequence[str | int]) -> str:
    """`#/address/postal_code`; a name too long to be one of ours is cut."""
    steps = (str(step)[:LONGEST_NAME].replace("~", "~0").replace("/", "~1") for step in place)
    return "#" + "".join(f"/{step}" for step in steps)


def _names(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*place, name), name
            yield from _names(inner, (*place, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _names(inner, (*place, number))


KINDS = {
    "string": "text", "object": "an object", "array": "a list", "integer": "a whole number", "number": "a number",
    "boolean": "true or false", "null": "null",
}  # fmt: skip
FORMATS = {
    "date": "must be a day that there is, such as 2026-06-30",
    "abn": "must be an Australian Business Number: eleven digits without spaces, valid by checksum",
}
PATTERNS = {
    VISIBLE_LINE: "must be one line with something to see in it, and without control characters or marks that turn the direction",
    AMOUNT: "must be an exact decimal in text with two places and at most twelve digits before them, such as 418250.75",
}
WORDS: Mapping[str, Callable[[Any], str]] = {
    "type": lambda kinds: f"must be {' or '.join(KINDS[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds))}",
    "enum": lambda values: f"must be one of {', '.join(str(value) for value in values)}",
    "minLength": lambda least: f"must hold at least {least} character{'s' if least > 1 else ''}",
    "maxLength": lambda most: f"may hold at most {most} characters",
    "pattern": lambda pattern: PATTERNS.get(pattern, f"must match {pattern}"),
    "format": lambda form: FORMATS[form],
    "minItems": lambda least: f"must hold at least {least}",
    "maxItems": lambda most: f"may hold at most {most}",
    "uniqueItems": lambda _unique: "must not hold the same twice",
}
"""What is wrong, by the keyword of the schema that is not kept and its value there."""


def _faults_of(error: ValidationError, read_only: frozenset[str]) -> Iterator[Fault]:
    place = tuple(error.absolute_path)
    if error.validator == "required":
        yield from (((*place, name), "is required") for name in error.validator_value if name not in error.instance)
    elif error.validator == "additionalProperties":
        for name in error.instance.keys() - error.schema["properties"].keys():
            is_ours = not place and name in read_only
            yield (*place, name), "is read only: it is told, and cannot be sent" if is_ours else "is not known here"
    else:
        yield place, WORDS[error.validator](error.validator_value)
