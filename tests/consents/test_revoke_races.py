from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal import Portal
from portal.audit.models import AuditEvent
from portal.consents.models import Consent
from tests.support.cast import Person
from tests.support.csrf import csrf
from tests.support.race import at_once
from tests.support.server import LiveServer
from tests.support.signin import Cast

pytestmark = pytest.mark.race
Transaction = Callable[[], AbstractContextManager[Session]]
PATH = "/business/business-acme/access/ledgerly"


def clicks(server: LiveServer, app: Portal, cast: Cast, people: list[Person], word: str) -> list[tuple[int, str]]:
    """The answers when all these people press the same button at the same moment."""
    kept = [cast.new_session(person) for person in people]

    def click(number: int) -> tuple[int, str]:
        secret, session_id = kept[number]
        client = server.client(cookies={"session": secret}, headers={"HX-Request": "true"})
        answer = client.post(f"{PATH}/{word}", data=csrf(app, session_id))
        return answer.status_code, answer.text

    return at_once(len(people), click)


def count(transaction: Transaction, kind: str) -> int:
    with transaction() as session:
        return len(session.scalars(select(AuditEvent).where(AuditEvent.kind == kind)).all())


def test_two_clicks_at_once_end_it_once_and_both_see_it_ended(
    live_server: LiveServer, app: Portal, cast: Cast, transaction: Transaction
) -> None:
    cast.add_consent(cast.alice)
    cast.add_consent(cast.bob)
    answers = clicks(live_server, app, cast, [cast.alice, cast.dana, cast.alice, cast.dana], "revoke")
    assert [status for status, _ in answers] == [200] * 4
    assert all("Access ended" in text for _, text in answers)
    assert count(transaction, "consent.revoked") == 2


def test_undo_pressed_twice_at_once_restores_once(
    live_server: LiveServer, app: Portal, cast: Cast, transaction: Transaction
) -> None:
    consent = cast.add_consent(cast.alice)
    assert clicks(live_server, app, cast, [cast.alice], "revoke")[0][0] == 200
    answers = clicks(live_server, app, cast, [cast.alice] * 4, "undo")
    assert [status for status, _ in answers] == [200] * 4
    assert count(transaction, "consent.undone") == 1
    with transaction() as session:
        assert session.get_one(Consent, consent.id).revoked_at is None
