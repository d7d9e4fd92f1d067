from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import cycle, islice

import pytest
from sqlalchemy import func, select, update

from portal import Portal, db
from portal.api.limits import STEPS, Limits, QuotaExceeded
from portal.api.models import CallWindow
from portal.config import Settings, SettingsError
from portal.consents.models import Consent
from portal.funds.models import Fund
from tests.api.samples import NEW_FUND
from tests.api.world import World
from tests.support.clock import Clock
from tests.support.race import at_once
from tests.support.server import LiveServer

NOON = datetime(2026, 11, 23, 12, 0, 7, tzinfo=UTC)


def let_through(world: World, workers: list[Limits], calls: int, *, consent_id: str, now: datetime = NOON) -> list[bool]:
    """Whether each of the calls went through; they come to the workers in turn."""
    through = []
    with world.app.app_context(), db.reader() as connection:
        for worker in islice(cycle(workers), calls):
            try:
                worker.spend(connection, consent_id, now=now)
                through.append(True)
            except QuotaExceeded:
                through.append(False)
    return through


def stored(world: World, consent_id: str) -> int | None:
    with world.session() as session:
        return session.scalar(select(CallWindow.calls).where(CallWindow.consent_id == consent_id))


@pytest.mark.parametrize("quota", [1, 7, 19, 20, 40, 100])
def test_one_worker_lets_through_the_quota_exactly(world: World, quota: int) -> None:
    consent_id = world.grant("funds.summary").consent_id
    through = let_through(world, [Limits(quota)], quota + 5, consent_id=consent_id)
    assert through == [True] * quota + [False] * 5


@pytest.mark.parametrize("count", [2, 3, 8])
@pytest.mark.parametrize("quota", [10, 100, 200])
def test_many_workers_refuse_none_too_early_and_exceed_by_less_than_their_steps(world: World, quota: int, count: int) -> None:
    workers = [Limits(quota) for _ in range(count)]
    through = let_through(world, workers, 3 * quota, consent_id=world.grant("funds.summary").consent_id)
    assert all(through[:quota])
    assert quota <= sum(through) <= quota + (count - 1) * (workers[0].step - 1)
    assert not any(through[2 * quota :])


def test_the_worst_case_stays_within_the_bound_that_is_promised(world: World) -> None:
    consent_id, workers = world.grant("funds.summary").consent_id, [Limits(200) for _ in range(4)]
    quiet = [sum(let_through(world, [worker], worker.step - 1, consent_id=consent_id)) for worker in workers[1:]]
    busy = sum(let_through(world, workers[:1], 300, consent_id=consent_id))
    rest = [sum(let_through(world, [worker], 50, consent_id=consent_id)) for worker in workers[1:]]
    assert busy == 200
    assert busy + sum(quiet) + sum(rest) == 200 + 3 * (200 // STEPS - 1)


def test_a_quiet_consent_causes_no_write_and_a_busy_one_few(world: World) -> None:
    consent_id, worker = world.grant("funds.summary").consent_id, Limits(200)
    let_through(world, [worker], 9, consent_id=consent_id)
    assert stored(world, consent_id) is None
    let_through(world, [worker], 1, consent_id=consent_id)
    assert stored(world, consent_id) == 10
    let_through(world, [worker], 9, consent_id=consent_id)
    assert stored(world, consent_id) == 10


def test_what_cannot_be_added_while_somebody_else_writes_is_added_later(world: World) -> None:
    consent_id, worker = world.grant("funds.summary").consent_id, Limits(40)
    with world.app.extensions["portal-database"].pages.begin() as somebody:
        somebody.execute(update(Consent).where(Consent.id == consent_id).values(last_accessed_at=NOON))
        assert let_through(world, [worker], 3, consent_id=consent_id) == [True] * 3
    assert let_through(world, [worker], 40, consent_id=consent_id) == [True] * 37 + [False] * 3
    assert stored(world, consent_id) == 40


def test_each_minute_and_each_consent_has_a_quota_of_its_own(world: World) -> None:
    first, second = (world.grant("funds.summary").consent_id for _ in range(2))
    worker = Limits(3)
    assert sum(let_through(world, [worker], 5, consent_id=first)) == 3
    assert sum(let_through(world, [worker], 5, consent_id=second)) == 3
    assert sum(let_through(world, [worker], 5, consent_id=first, now=NOON.replace(minute=1))) == 3
    assert stored(world, first) == 3


def test_a_worker_whose_clock_is_behind_neither_fails_nor_brings_the_minute_back(world: World) -> None:
    consent_id = world.grant("funds.summary").consent_id
    let_through(world, [Limits(3)], 2, consent_id=consent_id, now=NOON.replace(minute=1))
    assert sum(let_through(world, [Limits(3)], 5, consent_id=consent_id)) == 3
    assert stored(world, consent_id) == 2


# through HTTP


@pytest.fixture
def small(app: Portal, clock: Clock) -> World:
    """A portal with the settings of the test, at the start of a minute that stands until it is moved."""
    clock.advance(seconds=60 - clock.now().second)
    return World(app)


@pytest.mark.settings(api_calls_per_minute=3)
def test_the_last_call_of_a_minute_is_followed_by_one_refusal_and_a_new_minute(small: World, clock: Clock) -> None:
    token = small.grant("funds.summary").token
    for left in (2, 1, 0):
        answer = small.call("/funds", token)
        assert answer.status_code == 200
        assert answer.headers["RateLimit-Policy"] == '"consent";q=3;w=60'
        assert answer.headers["RateLimit"].startswith(f'"consent";r={left};t=')
    refused = small.call("/funds", token)
    assert refused.status_code == 429
    assert refused.content_type == "application/problem+json"
    assert refused.json["violated-policies"] == ["consent"]
    assert refused.headers["RateLimit"] == f'"consent";r=0;t={refused.headers["Retry-After"]}'
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    clock.advance(seconds=int(refused.headers["Retry-After"]))
    assert small.call("/funds", token).status_code == 200


@pytest.mark.settings(api_calls_per_minute=4)
def test_refused_calls_are_counted_but_those_without_a_live_token_are_not(small: World) -> None:
    grant = small.grant("funds.summary")
    for path in ("/funds/unknown", "/funds?limit=0", "/funds?cursor=x"):
        assert small.call(path, grant.token).status_code in (400, 403)
    for token in (None, "unknown"):
        assert "RateLimit" not in small.call("/funds", token).headers
    answers = [small.call("/funds?limit=0", grant.token).status_code for _ in range(3)]
    assert answers == [400, 429, 429]


@pytest.mark.settings(api_calls_per_minute=3)
def test_another_token_of_the_same_consent_has_no_quota_of_its_own(small: World) -> None:
    grant = small.grant("funds.summary")
    again = small.another_token(grant)
    codes = [small.call("/funds", token).status_code for token in (grant.token, again, grant.token, again)]
    assert codes == [200, 200, 200, 429]


@pytest.mark.settings(api_calls_per_minute=2)
def test_a_call_that_writes_counts_once_and_one_over_the_limit_writes_nothing(small: World) -> None:
    token = small.grant("funds.create").token
    answers = [small.call("/funds", token, method="POST", json=NEW_FUND) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [201, 201, 429, 429]
    assert [answer.headers["RateLimit"].split(";")[1] for answer in answers] == ["r=1", "r=0", "r=0", "r=0"]
    with small.session() as session:
        assert session.scalar(select(func.count()).where(Fund.business_id == small.business_id)) == 2


@pytest.mark.settings(api_calls_per_minute=0)
def test_without_a_limit_nothing_is_told(small: World) -> None:
    answer = small.call("/funds", small.grant("funds.summary").token)
    assert answer.status_code == 200
    assert "RateLimit" not in answer.headers and "RateLimit-Policy" not in answer.headers


@pytest.mark.race
@pytest.mark.settings(api_calls_per_minute=10)
def test_many_at_once_over_all_workers_spend_one_quota(app: Portal, own_server: LiveServer) -> None:
    """Ten calls a minute make steps of one, so that two workers are exact."""
    world = World(app)

    def burst() -> tuple[list[int], bool]:
        token, before = world.grant("funds.summary").token, db.utcnow().minute
        answers = at_once(
            30, lambda _number: own_server.client().get("/api/v1/funds", headers={"Authorization": f"Bearer {token}"})
        )
        return [answer.status_code for answer in answers], db.utcnow().minute == before

    codes, in_one_minute = burst()
    if not in_one_minute:  # two quotas may be spent around the turn of a minute
        codes, in_one_minute = burst()
    assert in_one_minute
    assert sorted(codes) == [200] * 10 + [429] * 20


def test_the_limit_is_a_whole_number(read: Callable[..., Settings]) -> None:
    assert read(PORTAL_API_CALLS_PER_MINUTE="250").api_calls_per_minute == 250
    for text in ("-1", "many", "1.5"):
        with pytest.raises(SettingsError, match="PORTAL_API_CALLS_PER_MINUTE"):
            read(PORTAL_API_CALLS_PER_MINUTE=text)


@pytest.fixture
def read() -> Callable[..., Settings]:
    return lambda **changes: Settings.from_environment({"PORTAL_MODE": "test", "PORTAL_SECRET_KEY": "k" * 40, **changes})
