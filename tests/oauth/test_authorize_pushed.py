from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from urllib.parse import urlencode

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from portal.clients.models import Client
from tests.oauth.test_authorize_request import assert_page
from tests.support.corridor import Corridor

Transaction = Callable[[], AbstractContextManager[Session]]


def push(corridor: Corridor, **changes: str | None) -> str:
    machine = corridor.browser.application.test_client()
    answer = machine.post("/oauth/par", data=corridor.parameters(**changes), auth=corridor.partner.authentication)
    assert answer.status_code == 201, answer.text
    return str(answer.json["request_uri"])  # type: ignore[index]


def follow(corridor: Corridor, request_uri: str, **beside: str) -> TestResponse:
    return corridor.browser.get(f"/oauth/authorize?{urlencode({'client_id': 'ledgerly', 'request_uri': request_uri, **beside})}")


def test_a_pushed_request_leads_to_a_code(corridor: Corridor) -> None:
    corridor.arrive_signed_in()
    back = corridor.returned(corridor.walk(follow(corridor, push(corridor))))
    assert back["state"] == "state-of-the-partner"
    assert corridor.redeem(back["code"]).status_code == 200


def test_nothing_beside_a_pushed_request_counts(corridor: Corridor) -> None:
    beside = {"redirect_uri": "https://evil.example/", "scope": "funds.write", "state": "other", "prompt": "login"}
    answer = follow(corridor, push(corridor, prompt="none"), **beside)
    back = corridor.returned(answer)
    assert (back["error"], back["state"]) == ("login_required", "state-of-the-partner")


def test_a_pushed_request_is_opened_once(corridor: Corridor) -> None:
    request_uri = push(corridor)
    assert follow(corridor, request_uri).location.startswith("/login?")
    answer = follow(corridor, request_uri)
    assert_page(answer)
    assert "start again" in answer.text


def test_head_is_refused_and_opens_no_pushed_request(corridor: Corridor) -> None:
    request_uri = push(corridor)
    answer = corridor.browser.head("/oauth/authorize", query_string={"client_id": "ledgerly", "request_uri": request_uri})
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, OPTIONS, POST")
    assert follow(corridor, request_uri).location.startswith("/login?")


def test_a_pushed_request_waits_ninety_seconds(corridor: Corridor) -> None:
    request_uri = push(corridor)
    corridor.clock.advance(seconds=91)
    assert_page(follow(corridor, request_uri))


@pytest.mark.parametrize("client_id", ["pocketfolio", "nobody", "", "\0", "é"])
def test_a_pushed_request_of_another_client_is_a_page_and_stays_unspent(corridor: Corridor, client_id: str) -> None:
    request_uri = push(corridor)
    assert_page(follow(corridor, request_uri, client_id=client_id))
    assert follow(corridor, request_uri).location.startswith("/login?")


@pytest.mark.parametrize("tail", ["", "invented", "\0", "é", "x" * 9000])
def test_an_invented_pushed_request_is_a_page(corridor: Corridor, tail: str) -> None:
    assert_page(follow(corridor, f"urn:ietf:params:oauth:request_uri:{tail}"))


def test_a_pushed_request_of_a_client_disabled_meanwhile_is_a_page(corridor: Corridor, transaction: Transaction) -> None:
    request_uri = push(corridor)
    with transaction() as session:
        session.execute(update(Client).where(Client.client_id == "ledgerly").values(disabled_at=corridor.clock.now()))
    assert_page(follow(corridor, request_uri))
