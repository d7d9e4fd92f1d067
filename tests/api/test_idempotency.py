from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from portal import crypto, db
from portal.api.idempotency import KEPT, SWEPT_AT_ONCE
from portal.api.models import IdempotentCall
from portal.consents.models import Consent
from tests.api.samples import NEW_FUND, REFERENCE_DATA
from tests.api.test_writing import state
from tests.api.world import World


@pytest.fixture
def token(world: World) -> str:
    return world.grant("funds.write funds.create").token


def create(world: World, token: str, key: str | None = "one", **changes: Any) -> Any:
    headers = {"Idempotency-Key": key} if key is not None else {}
    return world.call("/funds", token, method="POST", headers=headers, json={**NEW_FUND, **changes})


def test_the_same_key_and_body_get_the_same_answer_and_one_fund(world: World, token: str) -> None:
    first, second = create(world, token), create(world, token)
    assert first.status_code == second.status_code == 201
    assert second.data == first.data
    for name in ("ETag", "Location", "Content-Type"):
        assert second.headers[name] == first.headers[name]
    assert len(state(world)["funds"]) == 1 and state(world)["fund_count"] == [1] and state(world)["events"] == [1]


def test_the_first_answer_is_given_even_when_the_fund_has_changed_since(world: World, token: str) -> None:
    first = create(world, token)
    changed = world.call(f"/funds/{first.json['id']}", token, method="PATCH", headers={"If-Match": '"1"'}, json={"name": "Other"})
    assert changed.status_code == 200
    assert create(world, token).data == first.data


def test_the_same_body_for_another_version_is_another_call(world: World, token: str) -> None:
    [fund_id] = world.add_funds("Bluegum Super Fund")

    def load(*tags: str, key: str = "one") -> Any:
        headers = {"Idempotency-Key": key, **({"If-Match": ", ".join(tags)} if tags else {})}
        return world.call(f"/funds/{fund_id}/reference-data", token, method="PUT", headers=headers, json=REFERENCE_DATA)

    assert load(key="zero").headers["ETag"] == '"1"'
    first = load('"1"', '"7"')
    assert (first.status_code, load('"7"', '"1"').data) == (200, first.data)
    before = state(world)
    for others in (['"1"'], ['"2"'], ['"no-version"'], []):
        answer = load(*others)
        assert (answer.status_code, answer.json["type"].rpartition("/")[2]) == (422, "idempotency-key-reused")
    assert state(world) == before


def test_the_same_body_in_other_words_is_the_same_body(world: World, token: str) -> None:
    first = create(world, token)
    turned = json.dumps(dict(reversed(NEW_FUND.items())), indent=2, ensure_ascii=False)
    headers = {"Idempotency-Key": "one"}
    second = world.call(
        "/funds", token, method="POST", headers=headers, data=turned, content_type="application/json; charset=utf-8"
    )
    assert second.data == first.data


def test_another_body_under_the_same_key_is_refused(world: World, token: str) -> None:
    create(world, token)
    before = state(world)
    answer = create(world, token, name="Another Fund")
    assert answer.status_code == 422
    assert answer.json["type"].endswith("/idempotency-key-reused")
    assert state(world) == before


def test_another_call_under_the_same_key_is_refused(world: World, token: str) -> None:
    created = create(world, token)
    headers = {"Idempotency-Key": "one"}
    path = f"/funds/{created.json['id']}/reference-data"
    assert world.call(path, token, method="PUT", headers=headers, json=REFERENCE_DATA).status_code == 422


def test_loading_under_a_key_is_done_once(world: World, token: str) -> None:
    [fund_id] = world.add_funds("Bluegum Super Fund")
    answers = [
        world.call(
            f"/funds/{fund_id}/reference-data", token, method="PUT", headers={"Idempotency-Key": "two"}, json=REFERENCE_DATA
        )
        for _ in range(2)
    ]
    assert [answer.headers["ETag"] for answer in answers] == ['"1"', '"1"']


def test_without_a_key_and_under_another_each_call_is_done(world: World, token: str) -> None:
    ids = {create(world, token, key).json["id"] for key in (None, None, "one", "two", "ONE", '"one"')}
    assert len(ids) == 6


def test_a_refusal_spends_no_key(world: World, token: str) -> None:
    assert create(world, token, abn="1").status_code == 422
    assert create(world, world.grant("funds.read").token).status_code == 403
    assert create(world, token).status_code == 201
    path = f"/funds/{db.new_id()}/reference-data"
    for _ in range(2):
        assert world.call(path, token, method="PUT", headers={"Idempotency-Key": "x"}, json=REFERENCE_DATA).status_code == 404
    with world.session() as session:
        digests = session.scalars(select(IdempotentCall.status).where(IdempotentCall.status.is_(None)))
        assert list(digests) == []


def test_a_key_is_ones_own(world: World) -> None:
    """Another application, another person and another business can use the same."""
    first = world.grant("funds.create")
    other_application = world.grant("funds.create", user_id=first.user_id)
    other_person = world.grant("funds.create", client_id=first.client_id)
    elsewhere = World(world.app).grant("funds.create", client_id=first.client_id)
    ids = {create(world, grant.token).json["id"] for grant in (first, other_application, other_person, elsewhere)}
    assert len(ids) == 4


def test_a_key_outlives_a_consent_that_is_renewed(world: World) -> None:
    old = world.grant("funds.create")
    first = create(world, old.token)
    world.change(Consent, Consent.id == old.consent_id, revoked_at=db.utcnow(), revoke_reason="replaced")
    assert create(world, old.token).status_code == 401
    new = world.grant("funds.create", user_id=old.user_id, client_id=old.client_id)
    assert create(world, new.token).data == first.data


def test_after_a_day_a_key_is_new_again(world: World, token: str) -> None:
    first = create(world, token)
    last_moment = db.utcnow() - KEPT + timedelta(minutes=1)
    world.change(IdempotentCall, IdempotentCall.body.contains(first.json["id"]), created_at=last_moment)
    assert create(world, token).data == first.data
    world.change(IdempotentCall, IdempotentCall.body.contains(first.json["id"]), created_at=last_moment - timedelta(minutes=2))
    second = create(world, token, name="Another Fund")
    assert second.status_code == 201
    assert create(world, token, name="Another Fund").data == second.data


def test_old_keys_are_swept_a_few_at_each_claim(world: World, token: str) -> None:
    old = db.utcnow() - KEPT - timedelta(seconds=1)
    rows = [
        IdempotentCall(key_digest=crypto.digest(db.new_id()), request_digest=b"x" * 32, created_at=old, status=201, headers={}, body="")
        for _ in range(SWEPT_AT_ONCE + 5)
    ]  # fmt: skip

    def left() -> int:
        with world.session() as session:
            return session.scalar(select(func.count()).where(IdempotentCall.created_at <= old)) or 0

    with world.session() as session:
        session.add_all(rows)
    before = left()
    create(world, token, "a")
    assert left() == before - SWEPT_AT_ONCE
    create(world, token, "b")
    create(world, token, "c")
    assert left() == max(0, before - 3 * SWEPT_AT_ONCE)


def test_neither_key_nor_more_than_the_answer_is_stored(world: World, token: str) -> None:
    key = f"key-{db.new_id()}"
    create(world, token, key)
    with world.session() as session:
        rows = session.scalars(select(IdempotentCall)).all()
        assert rows and not [row for row in rows if key in str(vars(row))]


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é", "a\tb", "a,b c"])
def test_what_is_no_key_is_refused(world: World, token: str, key: str) -> None:
    answer = create(world, token, key.encode().decode("latin-1"))
    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.json["detail"]
    assert state(world)["funds"] == []
