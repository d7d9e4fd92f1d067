from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from sqlalchemy import func, select

from portal import crypto, db
from portal.accounts import sessions
from portal.accounts.models import BrowserSession
from portal.audit.models import AuditEvent
from portal.consents.models import Consent
from portal.oauth import pushed
from portal.oauth.client_authentication import ASSERTION_TYPE
from portal.oauth.models import AccessToken, Authorization, RefreshToken
from tests.oauth.test_par import ASKED
from tests.support.race import at_once
from tests.support.server import LiveServer
from tests.support.signin import Cast
from tests.support.tokens import ONLINE, Line, Machine

pytestmark = pytest.mark.race


def clients(server: LiveServer, count: int) -> list[httpx.Client]:
    """As many programs, each with a connection of its own that is open already."""
    made = [server.client() for _ in range(count)]
    for one in made:
        one.get("/healthz")
    return made


def post(client: httpx.Client, line: Line, form: dict[str, str], path: str = "/oauth/token") -> httpx.Response:
    return client.post(path, data=form, auth=line.authentication or httpx.USE_CLIENT_DEFAULT)


def outcomes(answers: list[httpx.Response]) -> Counter[str]:
    return Counter("ok" if answer.status_code == 200 else answer.json()["error"] for answer in answers)


def count(machine: Machine, table: type[db.Base], *where: Any) -> int:
    return int(machine.rows(select(func.count()).select_from(table).where(*where))[0])


@pytest.mark.parametrize("_time", range(3))
def test_one_code_redeemed_by_twenty_at_once_succeeds_once_and_what_it_produced_has_ended(
    machine: Machine, live_server: LiveServer, _time: int
) -> None:
    line = machine.authorize()
    programs = clients(live_server, 20)
    answers = at_once(20, lambda number: post(programs[number], line, line.form))
    assert outcomes(answers) == {"ok": 1, "invalid_grant": 19}
    assert (count(machine, AccessToken), count(machine, RefreshToken)) == (1, 1)
    [won] = [answer.json() for answer in answers if answer.status_code == 200]
    assert not machine.is_live(won["access_token"])
    assert machine.refresh(line, won["refresh_token"]).get_json()["error"] == "invalid_grant"
    [row] = machine.rows(select(Authorization).where(Authorization.id == line.authorization_id))
    assert (row.end_reason, row.code_used_at is not None) == ("code_replay", True)
    assert count(machine, AuditEvent, AuditEvent.kind == "code.replay_refused") == 1


@pytest.mark.parametrize("_time", range(3))
def test_one_refresh_token_used_by_ten_at_once_has_one_successor(machine: Machine, live_server: LiveServer, _time: int) -> None:
    line = machine.authorize()
    first = machine.tokens(line)
    programs = clients(live_server, 10)
    answers = at_once(10, lambda number: post(programs[number], line, line.refresh_form(first["refresh_token"])))
    assert outcomes(answers) == {"ok": 10}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    assert count(machine, RefreshToken, RefreshToken.used_at.is_(None)) == 1
    assert count(machine, RefreshToken) == 2
    assert all(machine.is_live(answer.json()["access_token"]) for answer in answers)


def test_a_line_refreshed_by_ten_who_each_follow_their_own_successor_stays_one(machine: Machine, live_server: LiveServer) -> None:
    line = machine.authorize()
    first = machine.tokens(line)["refresh_token"]
    programs = clients(live_server, 10)

    def follow(number: int) -> list[str]:
        chain_of = [first]
        for _ in range(5):
            answer = post(programs[number], line, line.refresh_form(chain_of[-1]))
            assert answer.status_code == 200, answer.text
            chain_of.append(answer.json()["refresh_token"])
        return chain_of

    assert len({tuple(one) for one in at_once(10, follow)}) == 1
    assert count(machine, RefreshToken, RefreshToken.used_at.is_(None)) == 1


def test_reuse_at_the_edge_of_the_grace_never_leaves_a_second_line(machine: Machine, live_server: LiveServer) -> None:
    """Half of them come with a token that was spent just within the grace, half with one spent before it."""
    line = machine.authorize()
    first = machine.tokens(line)["refresh_token"]
    second = machine.refresh(line, first).get_json()["refresh_token"]
    long_ago = db.utcnow().replace(year=2025)
    machine.change(RefreshToken, RefreshToken.digest == crypto.digest(first), used_at=long_ago)
    programs = clients(live_server, 10)
    forms = [line.refresh_form(first if number % 2 else second) for number in range(10)]
    answers = at_once(10, lambda number: post(programs[number], line, forms[number]))
    assert set(outcomes(answers)) <= {"ok", "invalid_grant"}
    assert all(answer.status_code == 400 for answer in answers[1::2])
    for answer in answers:
        if answer.status_code == 200:
            assert not machine.is_live(answer.json()["access_token"])
            assert machine.refresh(line, answer.json()["refresh_token"]).get_json()["error"] == "invalid_grant"
    assert count(machine, AuditEvent, AuditEvent.kind == "token.reuse_refused") == 1


def holds(server: LiveServer, token: str, end: Callable[[httpx.Client], httpx.Response]) -> None:
    """Every call before `end` may succeed, and none that was sent after it answered, of many that go on all the while."""
    going, ended, ended_at = threading.Barrier(21), threading.Event(), float("inf")
    programs = clients(server, 21)

    def call(number: int) -> tuple[float, int]:
        sent = time.monotonic()
        return sent, programs[number].get("/api/v1/funds", headers={"Authorization": f"Bearer {token}"}).status_code

    def act(number: int) -> list[tuple[float, int]]:
        nonlocal ended_at
        if number == 0:
            going.wait(60)
            answer = end(programs[0])
            ended_at = time.monotonic()
            ended.set()
            assert answer.status_code in (200, 204, 303), answer.text
            return []
        calls = [call(number)]
        going.wait(60)
        while not ended.is_set():
            calls.append(call(number))
        return calls + [call(number) for _ in range(5)]

    calls = list(chain.from_iterable(at_once(21, act)))
    assert sum(status == 200 for sent, status in calls if sent < ended_at) >= 20
    after = [status for sent, status in calls if sent > ended_at]
    assert len(after) >= 100
    assert set(after) == {401}


def test_no_call_succeeds_after_a_revocation_was_answered(machine: Machine, live_server: LiveServer) -> None:
    line = machine.authorize()
    body = machine.tokens(line)
    form = {"token": body["refresh_token"]}
    holds(live_server, body["access_token"], lambda program: post(program, line, form, "/oauth/revoke"))


def test_no_call_succeeds_after_the_client_has_ended_the_consent(machine: Machine, live_server: LiveServer) -> None:
    line = machine.authorize()
    token = machine.tokens(line)["access_token"]
    address = f"/oauth/consents/{line.consent_id}"
    holds(live_server, token, lambda program: program.delete(address, auth=line.partner.authentication))


def test_no_call_of_online_access_succeeds_after_the_sign_out(machine: Machine, cast: Cast, live_server: LiveServer) -> None:
    secret, session_id = cast.new_session(cast.alice)
    body = machine.tokens(machine.authorize(scope=ONLINE, session_id=session_id))
    cookie = {"Cookie": f"{sessions.cookie_name(machine.app.settings)}={secret}"}
    address = f"/oauth/logout?id_token_hint={body['id_token']}"
    holds(live_server, body["access_token"], lambda program: program.get(address, headers=cookie))
    assert count(machine, BrowserSession, BrowserSession.id == session_id, BrowserSession.ended_at.is_not(None)) == 1


def test_refreshes_while_the_consent_is_being_ended_leave_nothing_alive(machine: Machine, live_server: LiveServer) -> None:
    line = machine.authorize()
    first = machine.tokens(line)["refresh_token"]
    programs = clients(live_server, 9)

    def act(number: int) -> httpx.Response:
        if number == 0:
            return programs[0].delete(f"/oauth/consents/{line.consent_id}", auth=line.partner.authentication)
        return post(programs[number], line, line.refresh_form(first))

    answers = at_once(9, act)
    assert answers[0].status_code == 204
    assert {answer.status_code for answer in answers[1:]} <= {200, 400}
    for answer in answers[1:]:
        if answer.status_code == 200:
            assert not machine.is_live(answer.json()["access_token"])
            assert machine.refresh(line, answer.json()["refresh_token"]).get_json()["error"] == "invalid_grant"
    assert count(machine, Consent, Consent.id == line.consent_id, Consent.revoke_reason == "client") == 1
    assert count(machine, AuditEvent, AuditEvent.kind == "consent.revoked") == 1


@pytest.mark.parametrize("_time", range(3))
def test_one_assertion_used_by_ten_at_once_lets_one_in(machine: Machine, cast: Cast, live_server: LiveServer, _time: int) -> None:
    key = ECKey.generate_key("P-256", private=True)
    jwks = {"keys": [{**key.as_dict(private=False), "kid": "one"}]}
    partner = cast.add_client(token_endpoint_auth_method="private_key_jwt", secret_digest=None, jwks=jwks)
    claims = {"iss": partner.client_id, "sub": partner.client_id, "aud": live_server.settings.issuer, "jti": "once"}
    assertion = jwt.encode({"alg": "ES256", "kid": "one"}, {**claims, "exp": int(time.time()) + 60}, key)
    form = {"token": "x", "client_assertion": assertion, "client_assertion_type": ASSERTION_TYPE}
    programs = clients(live_server, 10)
    answers = at_once(10, lambda number: programs[number].post("/oauth/introspect", data=form))
    assert outcomes(answers) == {"ok": 1, "invalid_client": 9}
    assert count(machine, AuditEvent, AuditEvent.kind == "assertion.replay_refused") == 1


@pytest.mark.parametrize("_time", range(3))
def test_one_pushed_request_is_claimed_by_one_of_ten(machine: Machine, live_server: LiveServer, _time: int) -> None:
    request_uri = machine.post("/oauth/par", ASKED).get_json()["request_uri"]

    def claim(_number: int) -> dict[str, str] | None:
        with machine.app.app_context(), db.reader() as connection:
            return pushed.claim(connection, request_uri, ASKED["client_id"], db.utcnow())

    assert sum(parked is not None for parked in at_once(10, claim)) == 1


@pytest.mark.parametrize("_time", range(3))
def test_a_pushed_request_opened_by_ten_browsers_at_once_is_told_once(
    machine: Machine, live_server: LiveServer, _time: int
) -> None:
    query = {"client_id": ASKED["client_id"], "request_uri": machine.post("/oauth/par", ASKED).get_json()["request_uri"]}
    browsers = clients(live_server, 10)
    answers = at_once(10, lambda number: browsers[number].get("/oauth/authorize", params=query).status_code)
    assert sorted(answers) == [303] + [400] * 9
    assert count(machine, AuditEvent, AuditEvent.kind == "pushed_request.replay_refused") == 1


# a worker that dies


def workers_of(server: LiveServer) -> list[int]:
    """The processes that the first one started."""
    children = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == server.process.pid:
            children.append(int(status.parent.name))
    return children


def test_a_worker_killed_among_exchanges_leaves_each_code_spent_with_its_tokens_or_good(
    machine: Machine, own_server: LiveServer
) -> None:
    consent_id = machine.authorize().consent_id
    lines = [machine.authorize(consent_id=consent_id) for _ in range(120)]
    answered: dict[int, dict[str, Any]] = {}
    some_done = threading.Event()

    def exchange(number: int) -> None:
        with httpx.Client(base_url=own_server.url, timeout=5, trust_env=False) as client:
            for index in range(number, len(lines), 8):
                try:
                    answer = post(client, lines[index], lines[index].form)
                except httpx.HTTPError:
                    continue
                if answer.status_code == 200:
                    answered[index] = answer.json()
                if len(answered) >= 10:
                    some_done.set()

    def act(number: int) -> None:
        if number < 8:
            exchange(number)
        elif some_done.wait(30):
            os.kill(workers_of(own_server)[0], signal.SIGKILL)

    at_once(9, act)
    assert len(answered) >= 10
    for index, line in enumerate(lines):
        assert_whole(machine, line, answered.get(index))
    left = [line for index, line in enumerate(lines) if index not in answered and is_unspent(machine, line)]
    assert {machine.redeem(line).status_code for line in left} <= {200}


def assert_whole(machine: Machine, line: Line, answer: dict[str, Any] | None) -> None:
    """Spent with its tokens stored, or unspent with none; and what was answered was stored."""
    stored = [count(machine, table, table.authorization_id == line.authorization_id) for table in (AccessToken, RefreshToken)]
    assert stored == ([0, 0] if is_unspent(machine, line) else [1, 1])
    assert answer is None or machine.is_live(answer["access_token"])


def is_unspent(machine: Machine, line: Line) -> bool:
    return count(machine, Authorization, Authorization.id == line.authorization_id, Authorization.code_used_at.is_(None)) == 1
