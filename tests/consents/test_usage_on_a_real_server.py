"""Uses of real workers: counted under load, written at the end, and what survives when one is killed."""

from __future__ import annotations

import http.client
import threading
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from sqlalchemy import update

from portal import Portal, db
from portal.consents.models import Consent
from tests.api.world import World
from tests.consents.usage_rows import Transaction, last_accessed, totals
from tests.support.patience import PATIENCE_SECONDS, eventually
from tests.support.race import at_once
from tests.support.server import LiveServer


def call(server: LiveServer, token: str) -> int:
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
    try:
        connection.request("GET", "/api/v1/funds", headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


@pytest.mark.race
def test_500_parallel_calls_are_all_counted_and_move_last_accessed_forward_only(
    live_server: LiveServer, app: Portal, transaction: Transaction
) -> None:
    world = World(app)
    grant = world.grant("funds.summary")
    began = db.utcnow()
    old = began - timedelta(minutes=5)
    world.change(Consent, Consent.id == grant.consent_id, last_accessed_at=old)
    done, seen = threading.Event(), [old]

    def watch() -> None:
        while not done.is_set():
            seen.append(last_accessed(transaction, grant) or old)

    watching = threading.Thread(target=watch)
    watching.start()
    statuses = at_once(500, lambda _: call(live_server, grant.token))
    done.set()
    watching.join()
    assert statuses == [200] * 500
    assert seen == sorted(seen)
    moved = last_accessed(transaction, grant)
    assert moved is not None and moved >= began
    eventually(lambda: totals(transaction, grant.consent_id), (500, 0))


@pytest.mark.race
def test_no_call_waits_for_anothers_write(live_server: LiveServer, app: Portal, transaction: Transaction) -> None:
    """While somebody holds the consent's row, or all of a SQLite database, calls that would move "last accessed" are answered."""
    world = World(app)
    grant = world.grant("funds.summary")
    world.change(Consent, Consent.id == grant.consent_id, last_accessed_at=db.utcnow() - timedelta(minutes=5))
    with transaction() as session:
        session.execute(update(Consent).where(Consent.id == grant.consent_id).values(role="fund_administrator"))
        assert at_once(20, lambda _: call(live_server, grant.token)) == [200] * 20
    assert call(live_server, grant.token) == 200


@pytest.mark.settings(usage_seconds=600)
def test_a_server_that_ends_stores_what_it_has_counted(own_server: LiveServer, app: Portal, transaction: Transaction) -> None:
    grant = World(app).grant("funds.summary")
    assert {call(own_server, grant.token) for _ in range(20)} == {200}
    assert totals(transaction, grant.consent_id) == (0, 0)
    own_server.process.terminate()
    own_server.process.wait(PATIENCE_SECONDS)
    assert totals(transaction, grant.consent_id) == (20, 0)


@pytest.mark.settings(usage_seconds=600)
def test_last_accessed_survives_a_killed_server(own_server: LiveServer, app: Portal, transaction: Transaction) -> None:
    grant = World(app).grant("funds.summary")
    began = db.utcnow()
    assert call(own_server, grant.token) == 200
    own_server.process.kill()
    moved = last_accessed(transaction, grant)
    assert moved is not None and moved >= began
