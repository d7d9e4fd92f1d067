"""Query parameters: each is declared once, and read and described from that declaration."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from werkzeug.datastructures import MultiDict

from portal.api.schemas import ONE_LINE
from portal.errors import BadRequest
from portal.funds.listing import LARGEST_PAGE, PAGE, SMALLEST_PAGE
from portal.funds.models import FUND_STATUSES

MOST_DIGITS = 9


class BadParameter(BadRequest):
    kind = "bad-parameter"
    title = "A query parameter cannot be used"


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One query parameter. `read` turns its text into a value, or raises BadParameter naming it."""

    name: str
    description: str

    def read(self, text: str) -> Any:
        raise NotImplementedError

    @property
    def default(self) -> Any:
        return None

    @property
    def schema(self) -> dict[str, Any]:
        raise NotImplementedError

    def refuse(self, expected: str) -> NoReturn:
        raise BadParameter(
            f"The value of `{self.name}` must be {expected}. Correct it and call again.",
            detail=f"bad {self.name}",
            members={"parameter": self.name},
        )


@dataclass(frozen=True, kw_only=True)
class Choice(Parameter):
    """One of a few words."""

    values: tuple[str, ...]

    def read(self, text: str) -> str:
        if text not in self.values:
            self.refuse(f"one of {', '.join(self.values)}")
        return text

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.values)}


@dataclass(frozen=True, kw_only=True)
class Count(Parameter):
    """A whole number within bounds."""

    smallest: int
    largest: int
    usual: int

    def read(self, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS and self.smallest <= int(text) <= self.largest):
            self.refuse(f"a whole number from {self.smallest} to {self.largest}")
        return int(text)

    @property
    def default(self) -> int:
        return self.usual

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.smallest, "maximum": self.largest, "default": self.usual}


@dataclass(frozen=True, kw_only=True)
class Text(Parameter):
    """One line of text within a length, as what is stored is one."""

    longest: int
    shortest: int = 1
    pattern: str = ONE_LINE
    expected: str = "without control characters or invisible ones"

    def read(self, text: str) -> str:
        if not self.shortest <= len(text) <= self.longest or re.fullmatch(self.pattern, text) is None:
            self.refuse(f"{self.shortest} to {self.longest} characters, {self.expected}")
        return text

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": self.shortest, "maxLength": self.longest, "pattern": self.pattern}


STATUS = Choice(name="status", description="Only funds of this status.", values=FUND_STATUSES)
TAG = Text(name="tag", description="Only funds that carry this tag, spelled exactly so.", longest=64)
Q = Text(name="q", description="Only funds with this text in name or code, or with this ABN.", shortest=0, longest=100)
LIMIT = Count(name="limit", description="How many a page holds.", smallest=SMALLEST_PAGE, largest=LARGEST_PAGE, usual=PAGE)
CURSOR = Text(
    name="cursor",
    description="`next_cursor` of the page before, as it came; the filters must be the same.",
    longest=2000,
    pattern="^[A-Za-z0-9_-]+$",
    expected="as `next_cursor` has them",
)


def read_all(declared: Sequence[Parameter], given: MultiDict[str, str]) -> dict[str, Any]:
    """The value or default of each declared parameter. Raises BadParameter; what is not declared is ignored."""
    values = {}
    for parameter in declared:
        texts = given.getlist(parameter.name)
        if len(texts) > 1:
            parameter.refuse("given once")
        values[parameter.name] = parameter.read(texts[0]) if texts else parameter.default
    return values
