from __future__ import annotations

import socket
import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from portal import Portal, db
from portal.consents.models import Consent
from tests.api.samples import NEW_FUND, REFERENCE_DATA, add_things
from tests.api.test_writing import state, told
from tests.api.world import World
from tests.support.race import at_once
from tests.support.server import LiveServer

ALL = "funds.write funds.create"
pytestmark = pytest.mark.race


@pytest.fixture
def world(app: Portal, live_server: LiveServer) -> World:
    return World(app)


def call(server: LiveServer, token: str, path: str, *, method: str, body: Any, **headers: str) -> httpx.Response:
    sent = {"Authorization": f"Bearer {token}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return server.client().request(method, f"/api/v1{path}", json=body, headers=sent)


def test_one_key_sent_by_ten_at_once_makes_one_fund(world: World, live_server: LiveServer) -> None:
    token = world.grant(ALL).token
    answers = at_once(
        10, lambda _number: call(live_server, token, "/funds", method="POST", body=NEW_FUND, Idempotency_Key="the-one")
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    after = state(world)
    assert (len(after["funds"]), after["fund_count"], after["events"]) == (1, [1], [1])


def test_one_key_with_ten_bodies_at_once_makes_one_fund(world: World, live_server: LiveServer) -> None:
    token = world.grant(ALL).token

    def create(number: int) -> httpx.Response:
        body = {**NEW_FUND, "name": f"Fund {number}"}
        return call(live_server, token, "/funds", method="POST", body=body, Idempotency_Key="the-one")

    answers = at_once(10, create)
    assert Counter(answer.status_code for answer in answers) == {201: 1, 422: 9}
    assert len(state(world)["funds"]) == 1


def test_ten_keys_at_once_make_ten_funds_and_the_count_is_right(world: World, live_server: LiveServer) -> None:
    token = world.grant(ALL).token
    answers = at_once(
        10, lambda number: call(live_server, token, "/funds", method="POST", body=NEW_FUND, Idempotency_Key=f"key-{number}")
    )
    assert {answer.status_code for answer in answers} == {201}
    after = state(world)
    assert (len(after["funds"]), after["fund_count"]) == (10, [10])


@pytest.mark.parametrize("kind", ["funds", "members", "pension-accounts"])
@pytest.mark.parametrize("round_", range(3))
def test_two_writers_of_one_state_are_one_change_and_one_412(
    world: World, live_server: LiveServer, kind: str, round_: int
) -> None:
    token, ids = world.grant(ALL).token, add_things(world).ids
    path = {"funds": f"/funds/{ids['fund_id']}", "members": f"/members/{ids['member_id']}"}.get(
        kind, f"/pension-accounts/{ids['account_id']}"
    )
    patches = {"funds": ({"name": "Left"}, {"status": "closed"}), "members": ({"given_name": "Left"}, {"phase": "pension"})}.get(
        kind, ({"balance": "1.00"}, {"kind": "market_linked"})
    )
    before = world.call(path, token).json
    answers = at_once(2, lambda number: call(live_server, token, path, method="PATCH", body=patches[number], If_Match='"1"'))
    codes = [answer.status_code for answer in answers]
    assert sorted(codes) == [200, 412]
    after = world.call(path, token)
    tag = {"etag": after.headers["ETag"]} if "etag" in before else {}
    assert after.json == {**before, **patches[codes.index(200)], **tag}
    assert after.headers["ETag"] == '"2"'
    assert len(told(world)) == 1


def test_writers_that_read_again_and_repeat_lose_nothing(world: World, live_server: LiveServer) -> None:
    [fund_id] = world.add_funds("Bluegum Super Fund")
    token, path = world.grant(ALL).token, f"/funds/{fund_id}"

    def add_tag(number: int) -> None:
        for _try in range(60):
            now = live_server.client().get(f"/api/v1{path}", headers={"Authorization": f"Bearer {token}"})
            patch = {"tags": [*now.json()["tags"], f"tag {number}"]}
            answer = call(live_server, token, path, method="PATCH", body=patch, If_Match=now.headers["ETag"])
            if answer.status_code == 200:
                return
            assert answer.status_code == 412
            time.sleep(0.005 * number)  # let another go first
        raise AssertionError("never got through")

    at_once(6, add_tag)
    assert sorted(world.call(path, token).json["tags"]) == [f"tag {number}" for number in range(6)]


def test_loads_at_once_leave_the_data_of_one(world: World, live_server: LiveServer) -> None:
    [fund_id] = world.add_funds("Bluegum Super Fund")
    token, path = world.grant(ALL).token, f"/funds/{fund_id}/reference-data"
    loads = [{**REFERENCE_DATA, "as_at": f"202{number}-07-01", "investment_codes": [{"code": "BHP.AX", "name": f"N{number}"}]} for number in range(6)]  # fmt: skip
    answers = at_once(6, lambda number: call(live_server, token, path, method="PUT", body=loads[number]))
    assert sorted(answer.headers["ETag"] for answer in answers) == [f'"{version}"' for version in range(1, 7)]
    last = next(number for number, answer in enumerate(answers) if answer.headers["ETag"] == '"6"')
    assert world.call(path, token).json == loads[last]


def test_a_body_that_arrives_after_access_has_ended_changes_nothing(world: World, live_server: LiveServer) -> None:
    """The call begins while the consent stands, and its body is held back until it does not."""
    grant = world.grant(ALL)
    parts, body = urlsplit(live_server.url), httpx.Request("POST", "http://x", json=NEW_FUND).content
    head = (
        f"POST /api/v1/funds HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\nAuthorization: Bearer {grant.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=60) as connection:
        connection.sendall(head.encode() + body[:10])
        time.sleep(0.3)  # long enough for a server that asks only at the beginning to have asked
        world.change(Consent, Consent.id == grant.consent_id, revoked_at=db.utcnow(), revoke_reason="user")
        connection.sendall(body[10:])
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert int(answer.split()[1]) == 401
    assert state(world)["funds"] == []
