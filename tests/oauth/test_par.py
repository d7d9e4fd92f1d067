from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from urllib.parse import urlencode

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from portal import crypto, db
from portal.audit.models import AuditEvent
from portal.oauth import pushed, request
from portal.oauth.models import PushedRequest
from tests.support.cast import LEDGERLY, POCKETFOLIO
from tests.support.clock import Clock
from tests.support.signin import Cast
from tests.support.tokens import Machine, challenge_of

ASKED = {
    "response_type": "code",
    "client_id": LEDGERLY.client_id,
    "redirect_uri": LEDGERLY.redirect_uri,
    "scope": "openid funds.summary",
    "state": "kept",
    "code_challenge": challenge_of("v" * 43),
    "code_challenge_method": "S256",
}

REPLAY = "pushed_request.replay_refused"


def push(machine: Machine, **changes: str | None) -> TestResponse:
    asked = {name: value for name, value in {**ASKED, **changes}.items() if value is not None}
    return machine.post("/oauth/par", asked)


def claim(machine: Machine, request_uri: str, client_id: str = LEDGERLY.client_id) -> dict[str, str] | None:
    with machine.app.app_context(), db.reader() as connection:
        return pushed.claim(connection, request_uri, client_id, db.utcnow())


def test_a_request_is_parked_behind_a_reference(machine: Machine) -> None:
    answer = push(machine)
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json["expires_in"] == machine.app.settings.pushed_request_seconds == 90
    assert answer.json["request_uri"].startswith("urn:ietf:params:oauth:request_uri:")
    assert set(answer.json) == {"request_uri", "expires_in"}
    assert claim(machine, answer.json["request_uri"]) == ASKED


def test_only_the_digest_of_the_reference_is_stored(machine: Machine) -> None:
    request_uri = push(machine).json["request_uri"]
    [row] = machine.rows(select(PushedRequest))
    assert row.digest == crypto.digest(request_uri)
    assert request_uri.rpartition(":")[2] not in str(row.parameters)


def test_what_was_claimed_passes_the_checks_of_the_authorization_endpoint(machine: Machine) -> None:
    parked = claim(machine, push(machine).json["request_uri"])
    assert parked is not None
    with machine.app.app_context(), db.reader() as connection:
        client = connection.execute(request.FIND_CLIENT, {"client_id": LEDGERLY.client_id}).first()
    asked = request.check(client, parked, set())
    assert (asked.scope, asked.state) == (("openid", "funds.summary"), "kept")


def test_a_reference_is_spent_once(machine: Machine) -> None:
    request_uri = push(machine).json["request_uri"]
    assert claim(machine, request_uri) is not None
    assert claim(machine, request_uri) is None


def test_a_reference_is_spent_in_the_transaction_that_claims_it(
    machine: Machine, transaction: Callable[[], AbstractContextManager[Session]]
) -> None:
    request_uri = push(machine).json["request_uri"]
    with transaction() as session:
        assert pushed.claim(session, request_uri, LEDGERLY.client_id, db.utcnow()) == ASKED
        session.rollback()
    with transaction() as session:
        assert pushed.claim(session, request_uri, LEDGERLY.client_id, db.utcnow()) == ASKED
    assert claim(machine, request_uri) is None


def open_in_a_browser(machine: Machine, request_uri: str, client_id: str = LEDGERLY.client_id) -> int:
    query = urlencode({"client_id": client_id, "request_uri": request_uri})
    return machine.send("GET", f"/oauth/authorize?{query}").status_code


def test_a_reference_that_is_opened_again_is_told_once_however_often_that_is(machine: Machine) -> None:
    request_uri, replays = push(machine).json["request_uri"], select(AuditEvent).where(AuditEvent.kind == REPLAY)
    assert open_in_a_browser(machine, request_uri) == 303 and machine.rows(replays) == []
    assert [open_in_a_browser(machine, request_uri) for _ in range(3)] == [400] * 3
    (event,) = machine.rows(replays)
    assert (event.client_id, event.business_id, event.user_id) == (LEDGERLY.client_id, None, None) and event.request_id


def test_what_is_unknown_too_late_or_anothers_is_no_replay(machine: Machine, clock: Clock) -> None:
    request_uri = push(machine).json["request_uri"]
    assert open_in_a_browser(machine, request_uri, POCKETFOLIO.client_id) == 400
    assert open_in_a_browser(machine, pushed.REQUEST_URI + "never-given-out") == 400
    assert open_in_a_browser(machine, request_uri, "\0") == 400
    clock.advance(seconds=91)
    assert open_in_a_browser(machine, request_uri) == 400
    assert machine.rows(select(AuditEvent).where(AuditEvent.kind == REPLAY)) == []


def test_a_reference_of_another_client_is_none_and_stays_unspent(machine: Machine) -> None:
    request_uri = push(machine).json["request_uri"]
    assert claim(machine, request_uri, POCKETFOLIO.client_id) is None
    assert claim(machine, request_uri) is not None


def test_a_reference_expires(machine: Machine, clock: Clock) -> None:
    request_uri = push(machine).json["request_uri"]
    clock.advance(seconds=90)
    assert claim(machine, request_uri) is None


@pytest.mark.parametrize(
    "request_uri", ["", "https://ledgerly.example/request.jwt", pushed.REQUEST_URI, pushed.REQUEST_URI + "\x00", "\ud800"]
)
def test_a_reference_that_was_never_given_out_is_none(machine: Machine, request_uri: str) -> None:
    assert claim(machine, request_uri) is None


def test_a_client_id_that_no_database_takes_is_none(machine: Machine) -> None:
    assert claim(machine, push(machine).json["request_uri"], "ledgerly\x00") is None


@pytest.mark.parametrize(
    "state",
    [b"%E9%FF", b"a%2Bb+c%20d", b"%F0%9F%A6%89", b"%C3%A9%26%3D%23", b"", b"x" * 8000],
    ids=lambda state: state[:9].decode(),
)
def test_state_survives_byte_for_byte(machine: Machine, state: bytes) -> None:
    body = urlencode({name: value for name, value in ASKED.items() if name != "state"}).encode() + b"&state=" + state
    answer = machine.send(
        "POST", "/oauth/par", data=body, content_type="application/x-www-form-urlencoded", auth=LEDGERLY.authentication
    )
    assert answer.status_code == 201, answer.text
    parked = claim(machine, answer.json["request_uri"])
    assert parked is not None
    assert parked["state"] == dict(request.read_query(b"state=" + state))["state"]


def test_parameters_that_mean_nothing_and_credentials_are_not_kept(machine: Machine, cast: Cast) -> None:
    partner = cast.add_client(token_endpoint_auth_method="client_secret_post")
    sent = {**ASKED, "client_id": partner.client_id, "client_secret": partner.secret, "flavour": "vanilla"}
    answer = machine.post("/oauth/par", sent, None)
    assert answer.status_code == 201, answer.text
    assert claim(machine, answer.json["request_uri"], partner.client_id) == {**ASKED, "client_id": partner.client_id}


def test_the_client_id_may_be_left_to_the_authentication(machine: Machine) -> None:
    assert claim(machine, push(machine, client_id=None).json["request_uri"]) == ASKED


def test_a_public_client_pushes_by_its_id(machine: Machine) -> None:
    asked = {**ASKED, "client_id": POCKETFOLIO.client_id, "redirect_uri": "http://127.0.0.1:49152/callback"}
    answer = machine.post("/oauth/par", asked, POCKETFOLIO)
    assert answer.status_code == 201
    assert claim(machine, answer.json["request_uri"], POCKETFOLIO.client_id) == asked


REFUSED = [
    ({"request_uri": pushed.REQUEST_URI + "x"}, "invalid_request"),
    ({"request": "eyJ"}, "request_not_supported"),
    ({"registration": "{}"}, "registration_not_supported"),
    ({"redirect_uri": None}, "invalid_request"),
    ({"redirect_uri": LEDGERLY.redirect_uri + "/"}, "invalid_request"),
    ({"redirect_uri": 'http://127.0.0.1:5001/"é'}, "invalid_request"),
    ({"client_id": POCKETFOLIO.client_id}, "invalid_request"),
    ({"response_type": None}, "invalid_request"),
    ({"response_type": 'token"é'}, "unsupported_response_type"),
    ({"response_mode": "fragment"}, "invalid_request"),
    ({"scope": ""}, "invalid_scope"),
    ({"scope": "openid everything"}, "invalid_scope"),
    ({"code_challenge": None}, "invalid_request"),
    ({"code_challenge_method": "plain"}, "invalid_request"),
    ({"code_challenge_method": None}, "invalid_request"),
    ({"prompt": "none login"}, "invalid_request"),
    ({"max_age": "-1"}, "invalid_request"),
    ({"nonce": "n\x00"}, "invalid_request"),
    ({"claims": "[" * 5000}, "invalid_request"),
    ({"state": "s" * 8193}, "invalid_request"),
]


@pytest.mark.parametrize(("changes", "error"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_the_authorization_endpoint_would_refuse_is_refused_here(
    machine: Machine, changes: dict[str, str | None], error: str
) -> None:
    answer = push(machine, **changes)
    assert answer.status_code == 400, answer.text
    assert answer.json["error"] == error
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Location" not in answer.headers
    assert machine.rows(select(PushedRequest)) == []


def test_a_repeated_parameter_is_refused(machine: Machine) -> None:
    body = urlencode([*ASKED.items(), ("state", "other")])
    answer = machine.send(
        "POST", "/oauth/par", data=body, content_type="application/x-www-form-urlencoded", auth=LEDGERLY.authentication
    )
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")


def test_parameters_in_the_query_are_refused(machine: Machine) -> None:
    answer = machine.send("POST", "/oauth/par?scope=openid", data=ASKED, auth=LEDGERLY.authentication)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")


def test_more_parameters_than_anyone_needs_are_refused(machine: Machine) -> None:
    answer = push(machine, **{f"p{number}": "1" for number in range(300)})
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")


def test_a_client_that_does_not_authenticate_is_refused(machine: Machine) -> None:
    answer = machine.send("POST", "/oauth/par", data=ASKED, auth=(LEDGERLY.client_id, "wrong"))
    assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")
    assert machine.send("POST", "/oauth/par", data=ASKED).status_code == 401
    assert machine.rows(select(PushedRequest)) == []


def test_the_endpoint_takes_posts_only(machine: Machine) -> None:
    answer = machine.send("GET", "/oauth/par")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
