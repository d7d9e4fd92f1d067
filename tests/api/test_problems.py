from __future__ import annotations

from collections.abc import Iterator

import pytest

from portal.api.guard import WHAT_TO_DO
from portal.api.problems import PROBLEMS, TABLE, of_call
from portal.api.registry import TABLE as CALLS
from portal.errors import PortalError
from tests.api.world import World

ONLY_ON_PAGES = {"form-out-of-date", "unauthorized", "forbidden", "gone", "too-many-requests", "unprocessable"}
"""Kinds that no call answers with: forms and sessions, and the parents of kinds that say more."""


def family(error: type[PortalError]) -> Iterator[type[PortalError]]:
    yield error
    for child in error.__subclasses__():
        yield from family(child)


def test_every_kind_of_the_errors_the_api_and_the_data_is_in_the_table_once() -> None:
    rooms = ("portal.errors", "portal.api.", "portal.funds.")
    kinds = {error.kind for error in family(PortalError) if error.__module__.startswith(rooms)}
    assert set(PROBLEMS) == kinds - ONLY_ON_PAGES - {"error"}
    assert len(PROBLEMS) == len(TABLE)


def test_errors_of_one_kind_have_one_status_and_one_title() -> None:
    for error in family(PortalError):
        if error.kind in PROBLEMS:
            assert (error.status, error.title) == (PROBLEMS[error.kind].status, PROBLEMS[error.kind].title), error


def test_the_table_is_in_the_order_of_its_statuses_and_says_what_to_do() -> None:
    assert [problem.status for problem in TABLE] == sorted(problem.status for problem in TABLE)
    for problem in TABLE:
        assert problem.when.endswith(".") and problem.then.endswith(".")


def test_every_kind_is_answered_by_some_call_or_is_no_matter_of_one() -> None:
    answered = {problem.kind for line in CALLS for problem in of_call(line)}
    assert set(PROBLEMS) - answered == {"method-not-allowed"}


@pytest.mark.parametrize("path", ["/funds", "/funds?limit=0", "/funds?cursor=x", "/funds/none", "/founds"])
def test_what_is_answered_is_what_the_table_says(world: World, path: str) -> None:
    for token in (None, "unknown", "two words", world.grant("funds.summary").token, world.grant("business.read").token):
        answer = world.call(path, token)
        if answer.status_code != 200:
            problem = PROBLEMS[answer.json["type"].rpartition("/")[2]]
            assert (answer.status_code, answer.json["title"]) == (problem.status, problem.title)
            assert set(problem.members) == set(answer.json) - {"type", "title", "status", "detail", "instance"} - {"reason"} or (
                problem.kind == "invalid-token"
            )


def test_401_and_403_say_what_can_be_done_next(world: World) -> None:
    for kind in ("no-token", "invalid-token", "insufficient-scope"):
        assert PROBLEMS[kind].status in (401, 403)
    for sentence in WHAT_TO_DO.values():
        assert any(word in sentence.lower() for word in ("ask", "contact", "refresh", "connects"))
