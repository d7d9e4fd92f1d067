from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import create_engine, func, select, text

from portal import Portal, crypto, db
from portal.api import parameters
from portal.consents import usage
from portal.consents.models import UsageDay
from portal.consents.usage import Counter
from portal.oauth.models import AccessToken, RefreshToken
from tests.api.samples import NEW_FUND
from tests.api.world import World
from tests.consents.usage_rows import Transaction, last_accessed, stored, totals
from tests.support.clock import Clock
from tests.support.race import at_once
from tests.support.statements import every_statement

NOON = datetime(2026, 11, 23, 1, tzinfo=UTC)
"""Noon in Sydney, in summer."""


def counter_of(app: Portal) -> Counter:
    counter: Counter = app.extensions[usage.EXTENSION]
    return counter


# what is counted


def test_calls_and_refusals_are_counted_by_day_and_scope(app: Portal, transaction: Transaction) -> None:
    world = World(app)
    grant = world.grant("funds.read")
    for _ in range(3):
        assert world.call("/funds", grant.token).status_code == 200
    assert world.call("/business", grant.token).status_code == 403
    assert stored(transaction, grant.consent_id) == {}
    assert counter_of(app).store()
    today = counter_of(app).day_of(db.utcnow())
    assert stored(transaction, grant.consent_id) == {
        (today, "funds.summary"): (3, 0),
        (today, "business.read"): (0, 1),
    }


def test_a_dead_token_is_a_refusal_and_an_unknown_one_is_nobodys(app: Portal, transaction: Transaction) -> None:
    world = World(app)
    grant = world.grant("funds.summary")
    world.change(AccessToken, AccessToken.authorization_id == grant.authorization_id, revoked_at=db.utcnow())
    assert world.call("/funds", grant.token).status_code == 401
    assert world.call("/funds", grant.token + "x").status_code == 401
    assert world.call("/funds").status_code == 401
    counter_of(app).store()
    with transaction() as session:
        rows = session.execute(select(UsageDay.consent_id, UsageDay.calls, UsageDay.refused)).all()
    assert [tuple(row) for row in rows] == [(grant.consent_id, 0, 1)]


def test_reading_about_the_person_and_refreshing_are_uses_too(app: Portal, transaction: Transaction) -> None:
    world = World(app)
    grant, bare = world.grant("openid profile offline_access"), world.grant("openid")
    began = db.utcnow()
    partner = app.test_client()
    for one in (grant, bare):
        assert partner.get("/oauth/userinfo", headers={"Authorization": f"Bearer {one.token}"}).status_code == 200
    refresh = crypto.new_secret(crypto.REFRESH_TOKEN)
    with transaction() as session:
        session.add(RefreshToken(digest=crypto.digest(refresh), authorization_id=grant.authorization_id, issued_at=db.utcnow()))
    form = {"grant_type": "refresh_token", "refresh_token": refresh, "client_id": grant.client_id}
    assert partner.post("/oauth/token", data=form).status_code == 200
    assert partner.post("/oauth/token", data={**form, "refresh_token": "unknown"}).status_code == 400
    counter_of(app).store()
    today = counter_of(app).day_of(db.utcnow())
    assert stored(transaction, grant.consent_id) == {(today, "profile"): (1, 0), (today, "offline_access"): (1, 0)}
    assert stored(transaction, bare.consent_id) == {(today, "openid"): (1, 0)}
    assert world.last_accessed(grant) >= began


def test_a_call_with_a_mistake_in_it_is_a_refusal_and_moves_nothing(app: Portal, transaction: Transaction) -> None:
    world = World(app)
    grant = world.grant("funds.read funds.create")
    for path in ("/funds/unknown", "/funds?limit=0", "/funds?cursor=x"):
        assert world.call(path, grant.token).status_code in (400, 404)
    for sent in ({"data": b"{"}, {"json": NEW_FUND, "headers": {"Idempotency-Key": "ä"}}, {"data": b" " * 1_100_000}):
        assert world.call("/funds", grant.token, method="POST", content_type="application/json", **sent).status_code in (400, 413)
    counter_of(app).store()
    today = counter_of(app).day_of(db.utcnow())
    assert stored(transaction, grant.consent_id) == {
        (today, "funds.basic"): (0, 1),
        (today, "funds.summary"): (0, 2),
        (today, "funds.create"): (0, 3),
    }
    assert last_accessed(transaction, grant) is None


def test_a_change_that_is_refused_is_counted_once(app: Portal, transaction: Transaction) -> None:
    world = World(app)
    grant, [fund] = world.grant("funds.write"), world.add_funds("Ashby")
    for version, status in ((None, 428), ('"7"', 412), ('"1"', 200)):
        headers = {"If-Match": version} if version else {}
        answer = world.call(f"/funds/{fund}", grant.token, method="PATCH", json={"name": "Birch"}, headers=headers)
        assert answer.status_code == status
    counter_of(app).store()
    assert stored(transaction, grant.consent_id) == {(counter_of(app).day_of(db.utcnow()), "funds.write"): (1, 2)}


@pytest.mark.settings(api_calls_per_minute=3)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_over_the_limit_is_a_refusal(app: Portal, transaction: Transaction, clock: Clock, method: str) -> None:
    world = World(app)
    grant = world.grant("funds.summary funds.create")
    clock.advance(seconds=60 - clock.now().second)
    sent = {"json": NEW_FUND} if method == "POST" else {}
    statuses = [world.call("/funds", grant.token, method=method, **sent).status_code for _ in range(8)]
    assert statuses == [201 if method == "POST" else 200] * 3 + [429] * 5
    counter_of(app).store()
    assert totals(transaction, grant.consent_id) == (3, 5)


def test_what_fails_for_a_fault_of_the_portal_is_neither(
    app: Portal, transaction: Transaction, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(app)
    grant = world.grant("funds.read")

    def fail(*_args: object, **_named: object) -> None:
        raise OSError

    monkeypatch.setattr(parameters, "read_all", fail)
    assert world.call("/funds", grant.token).status_code == 500
    counter_of(app).store()
    assert stored(transaction, grant.consent_id) == {}


def test_what_is_stored_twice_adds_up_and_the_last_time_moves_forward_only(app: Portal, transaction: Transaction) -> None:
    counter = counter_of(app)
    for minutes in (5, 9, 2):
        counter.count("consent-1", "funds.read", now=NOON + timedelta(minutes=minutes))
        counter.count("consent-1", "funds.read", now=NOON, refused=True)
        assert counter.store()
    with transaction() as session:
        [row] = session.scalars(select(UsageDay))
        assert (row.calls, row.refused, row.last_at) == (3, 3, NOON + timedelta(minutes=9))


def test_a_refusal_alone_is_no_last_time(app: Portal, transaction: Transaction) -> None:
    counter = counter_of(app)
    counter.count("consent-1", "funds.read", now=NOON, refused=True)
    counter.store()
    counter.count("consent-1", "funds.read", now=NOON)
    counter.store()
    counter.count("consent-1", "funds.read", now=NOON + timedelta(hours=1), refused=True)
    counter.store()
    with transaction() as session:
        [row] = session.scalars(select(UsageDay))
        assert (row.calls, row.refused, row.last_at) == (1, 2, NOON)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2026, 11, 22, 12, 59, 59, tzinfo=UTC), date(2026, 11, 22)),
        (datetime(2026, 11, 22, 13, tzinfo=UTC), date(2026, 11, 23)),
        (datetime(2026, 11, 23, 12, 59, 59, tzinfo=UTC), date(2026, 11, 23)),
        (datetime(2026, 11, 23, 13, tzinfo=UTC), date(2026, 11, 24)),
        (datetime(2026, 10, 4, 12, 59, 59, tzinfo=UTC), date(2026, 10, 4)),  # a day of 23 hours
        (datetime(2026, 4, 5, 13, 59, 59, tzinfo=UTC), date(2026, 4, 5)),  # and one of 25
    ],
)
def test_a_day_is_the_one_people_live_in(moment: datetime, day: date) -> None:
    counter = Counter(create_engine("sqlite://"), zone="Australia/Sydney", every_seconds=5)
    assert counter.day_of(NOON) == date(2026, 11, 23)
    assert counter.day_of(moment) == counter.day_of(moment) == day


# what it costs


def test_counting_sends_nothing_and_storing_sends_one_statement(app: Portal) -> None:
    world = World(app)
    grants = [world.grant("funds.summary") for _ in range(3)]
    for grant in grants:
        world.call("/funds", grant.token)
    with every_statement(app) as sent:
        for grant in grants * 4:
            assert world.call("/funds", grant.token).status_code == 200
        assert not [statement for statement in sent if not statement.startswith("SELECT")]
        sent.clear()
        counter_of(app).store()
        [stored] = [statement for statement in sent if not statement.startswith("BEGIN")]
        assert "ON CONFLICT" in stored
        sent.clear()
        counter_of(app).store()
        assert not sent


def test_a_thousand_rows_and_more_go_in_pieces(app: Portal, transaction: Transaction) -> None:
    counter = counter_of(app)
    for number in range(usage.ROWS_AT_ONCE + 1):
        counter.count(f"consent-{number}", "funds.read", now=NOON)
    with every_statement(app) as sent:
        assert counter.store()
        assert len([statement for statement in sent if statement.startswith("INSERT")]) == 2
    with transaction() as session:
        assert session.scalar(select(func.sum(UsageDay.calls))) == usage.ROWS_AT_ONCE + 1


# what goes wrong


def test_what_could_not_be_stored_is_kept_and_tried_again(app: Portal, transaction: Transaction) -> None:
    counter = counter_of(app)
    counter.count("consent-1", "funds.read", now=NOON)
    with transaction() as session:
        session.execute(text("ALTER TABLE usage_days RENAME TO away"))
    assert counter.store() is False
    counter.count("consent-1", "funds.read", now=NOON + timedelta(seconds=1))
    counter.count("consent-2", "funds.read", now=NOON, refused=True)
    assert counter.store() is False
    with transaction() as session:
        session.execute(text("ALTER TABLE away RENAME TO usage_days"))
    assert counter.store()
    assert totals(transaction, "consent-1") == (2, 0) and totals(transaction, "consent-2") == (0, 1)
    assert counter.store()
    assert totals(transaction, "consent-1") == (2, 0)


def test_a_worker_holds_no_more_than_it_should(app: Portal, transaction: Transaction, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "MOST_TALLIES", 3)
    counter = counter_of(app)
    for number in range(10):
        counter.count(f"consent-{number}", "funds.read", now=NOON)
        counter.count("consent-0", "funds.read", now=NOON)
    counter.store()
    with transaction() as session:
        assert session.scalar(select(func.count()).select_from(UsageDay)) == 3
    assert totals(transaction, "consent-0") == (11, 0)


def test_a_process_that_was_forked_counts_its_own_uses_only(app: Portal, transaction: Transaction) -> None:
    counter = counter_of(app)
    counter.count("consent-1", "funds.read", now=NOON)
    counter._process = os.getpid() + 1  # as a child finds it
    counter.count("consent-2", "funds.read", now=NOON)
    counter.store()
    assert totals(transaction, "consent-1") == (0, 0) and totals(transaction, "consent-2") == (1, 0)


def test_many_threads_lose_no_use(app: Portal, transaction: Transaction) -> None:
    counter = counter_of(app)

    def count(number: int) -> None:
        for _ in range(500):
            counter.count("consent-1", f"scope-{number % 2}", now=NOON)
            if number == 0:
                counter.store()

    at_once(8, count)
    counter.store()
    assert totals(transaction, "consent-1") == (4000, 0)


def test_two_workers_store_the_same_rows_at_once(app: Portal, transaction: Transaction) -> None:
    engine = app.extensions["portal-database"].pages
    workers = [Counter(engine, zone="Australia/Sydney", every_seconds=5) for _ in range(4)]

    def work(number: int) -> list[bool]:
        results = []
        for turn in range(10):
            order = range(20) if number % 2 else reversed(range(20))
            for consent in order:
                workers[number].count(f"consent-{consent:02}", "funds.read", now=NOON + timedelta(seconds=turn))
            results.append(workers[number].store())
        return results

    assert at_once(4, work) == [[True] * 10] * 4
    for worker in workers:
        worker.close()
    with transaction() as session:
        assert set(session.scalars(select(UsageDay.calls))) == {40}
