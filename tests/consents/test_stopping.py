from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal import Portal
from portal.audit.models import AuditEvent
from tests.consents.test_history import sentences
from tests.support.clock import Clock
from tests.support.signin import Cast

Transaction = Callable[[], AbstractContextManager[Session]]
ACME, BIRCH = "business-acme", "business-birch"


def run(app: Portal, *arguments: str) -> str:
    done = app.test_cli_runner().invoke(args=list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


def told(browser: FlaskClient, business_id: str = ACME) -> list[str]:
    return sentences(browser.get(f"/business/{business_id}/history").text)


def test_a_stopped_application_is_in_the_history_of_each_business_that_it_reaches(
    app: Portal, browser: FlaskClient, cast: Cast, clock: Clock
) -> None:
    cast.add_consent(cast.alice)
    cast.add_consent(cast.bob)
    cast.add_consent(cast.charlie, cast.birch, revoked_at=clock.now(), revoke_reason="user")
    for command in ("disable", "enable"):
        run(app, "clients", command, cast.ledgerly.client_id)
    cast.open_session(browser, cast.bob)
    assert told(browser) == [
        "The operator of Class let Ledgerly go on: what was allowed and still stands opens again.",
        "The operator of Class stopped Ledgerly: it can reach nothing until it is let go on.",
    ]
    cast.open_session(browser, cast.charlie)
    assert told(browser, BIRCH) == []


def test_a_person_who_is_kept_out_is_in_the_history_of_each_business_that_they_act_for(
    app: Portal, browser: FlaskClient, cast: Cast
) -> None:
    for command in ("disable", "enable"):
        run(app, "users", command, cast.bob.email)
    cast.open_session(browser, cast.alice)
    assert told(browser) == [
        "The operator of Class let Bob Kowalski in again: what they had allowed and still stands opens again.",
        "The operator of Class keeps Bob Kowalski out: what they had allowed opens nothing until they are let in again.",
    ]
    cast.open_session(browser, cast.charlie)
    assert told(browser, BIRCH) == []


@pytest.mark.parametrize("arguments", [("clients", "disable", "ledgerly"), ("users", "enable", "bob@acme.example")])
def test_what_changes_nothing_is_told_to_nobody(
    app: Portal, cast: Cast, transaction: Transaction, arguments: tuple[str, ...]
) -> None:
    cast.add_consent(cast.bob)
    if "disable" in arguments:
        run(app, *arguments)
    with transaction() as session:
        before = session.scalar(select(func.count()).select_from(AuditEvent))
    assert app.test_cli_runner().invoke(args=list(arguments)).exit_code == 1
    with transaction() as session:
        assert session.scalar(select(func.count()).select_from(AuditEvent)) == before
