"""What is another business's and what never was are one: the same answer after the same statements. Counted and not timed."""

from __future__ import annotations

import pytest
from werkzeug.test import TestResponse

from portal import db
from portal.api.registry import PATH_PARAMETER, TABLE, Endpoint
from portal.consents.catalogue import CATALOGUE
from tests.api import samples
from tests.api.samples import Things
from tests.api.test_every_scope import name_of
from tests.api.world import World
from tests.support.statements import every_statement

NAMING = [line for line in TABLE if PATH_PARAMETER.search(line.path)]


def ask(world: World, line: Endpoint, things: Things, token: str) -> tuple[TestResponse, list[str]]:
    with every_statement(world.app) as sent:
        answer = samples.send(world, line, token, things)
    return answer, list(sent)


def told(answer: TestResponse, things: Things) -> tuple[int, str, list[str]]:
    """Status, body and names of headers, without the ids that were asked for and the reference number of the request."""
    text = answer.text.replace(answer.headers["X-Request-Id"], "REFERENCE")
    for object_id in things.ids.values():
        text = text.replace(object_id, "ID")
    return answer.status_code, text, sorted(answer.headers.keys())


@pytest.mark.parametrize("line", NAMING, ids=name_of)
def test_anothers_and_none_are_answered_alike_after_the_same_statements(world: World, line: Endpoint) -> None:
    theirs = samples.add_things(world, world.add_business())
    none = Things({name: db.new_id() for name in theirs.ids})
    tokens = [world.grant(" ".join(CATALOGUE)).token for _ in range(2)]
    for token in tokens:  # what is written once a minute is written now
        assert world.call("/business", token).status_code == 200
    (anothers, sent), (unknown, sent_for_none) = (
        ask(world, line, things, token) for things, token in zip((theirs, none), tokens, strict=True)
    )
    assert told(anothers, theirs) == told(unknown, none)
    assert anothers.status_code == 404 and sent == sent_for_none and len(sent) > 1


def test_every_call_that_names_something_is_among_them() -> None:
    assert {line.name for line in TABLE if "<" in line.path} == {line.name for line in NAMING}
    assert len(NAMING) >= 13
