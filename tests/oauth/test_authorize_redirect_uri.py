from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from urllib.parse import urlencode

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from portal.clients.models import Client
from tests.oauth.test_authorize_request import HOME, NATIVE, assert_page, register
from tests.support.corridor import Corridor

Transaction = Callable[[], AbstractContextManager[Session]]


@pytest.mark.parametrize(
    "client_id",
    [None, "", "nobody", "Ledgerly", "ledgerly ", " ledgerly", "ledgerly\0", "\0", "é", "lédgerly", '"', "'; --", "x" * 9000],
)
def test_an_unknown_client_is_a_page(corridor: Corridor, client_id: str | None) -> None:
    assert_page(corridor.ask(client_id=client_id))


def test_a_disabled_client_is_a_page(corridor: Corridor, transaction: Transaction) -> None:
    with transaction() as session:
        session.execute(update(Client).where(Client.client_id == "ledgerly").values(disabled_at=corridor.clock.now()))
    assert_page(corridor.ask())


@pytest.mark.parametrize(
    "uri",
    [
        None, "", "/callback", "//127.0.0.1:5001/callback", "https://evil.example/callback",
        HOME + "/", HOME + "/..", HOME + "?x=1", HOME + "#", HOME + "#x", HOME + "2", HOME[:-1], HOME.upper(), HOME + " ", " " + HOME,
        HOME + "%20", HOME + "\0", HOME + '"', HOME + "'", HOME + "é", HOME + "\r\nX: y", HOME + "\\",
        "http://127.0.0.1:5001/%63allback", "http://127.0.0.1:5001//callback", "http://127.0.0.1:5001/./callback",
        "http://127.0.0.1:5002/callback", "http://127.0.0.1/callback", "http://127.0.0.1:05001/callback",
        "https://127.0.0.1:5001/callback", "HTTP://127.0.0.1:5001/callback", "http://localhost:5001/callback",
        "http://127.1:5001/callback", "http://[::1]:5001/callback", "http://127.0.0.1:5001@evil.example/callback",
        "http://user@127.0.0.1:5001/callback", "http://evil.example#@127.0.0.1:5001/callback",
        "http://127.0.0.1:5001.evil.example/callback", "http://127.0.0.1:5001/callback.evil.example",
        "javascript:alert(1)", "data:text/html,x", "http://127.0.0.1:5001", "x" * 9000,
    ],
)  # fmt: skip
def test_an_address_that_is_not_exactly_the_registered_one_is_a_page(corridor: Corridor, uri: str | None) -> None:
    assert_page(corridor.ask(redirect_uri=uri))


def test_the_address_of_another_client_is_a_page(corridor: Corridor) -> None:
    assert_page(corridor.ask(redirect_uri=NATIVE))


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
@pytest.mark.parametrize("value", ["the same", "https://evil.example/"])
def test_client_or_address_sent_twice_is_a_page(corridor: Corridor, name: str, value: str) -> None:
    again = corridor.parameters()[name] if value == "the same" else value
    assert_page(corridor.browser.get(f"{corridor.url()}&{urlencode({name: again})}"))


def test_the_page_comes_before_any_other_fault(corridor: Corridor) -> None:
    assert_page(corridor.ask(redirect_uri="https://evil.example/", response_type="token", scope="", state="x"))


@pytest.mark.parametrize("port", ["", ":80", ":1", ":49152", ":65535"])
def test_a_native_client_may_listen_on_any_port(corridor: Corridor, port: str) -> None:
    corridor.partner, corridor.scope = corridor.cast.pocketfolio, "openid"
    uri = f"http://127.0.0.1{port}/callback"
    assert corridor.ask(redirect_uri=uri).location.startswith("/login?")
    assert corridor.ask(redirect_uri=uri, prompt="none").location.startswith(f"{uri}?error=login_required")


def test_a_native_client_may_listen_on_the_newer_loopback_too(corridor: Corridor, transaction: Transaction) -> None:
    register(transaction, "pocketfolio", "http://[::1]/callback")
    corridor.partner, corridor.scope = corridor.cast.pocketfolio, "openid"
    answer = corridor.ask(redirect_uri="http://[::1]:4321/callback")
    assert answer.location.startswith("/login?")
    # An IPv6 address has no name in a Content Security Policy, so the scheme must stand for it.
    assert corridor.browser.get(answer.location).headers["Content-Security-Policy"].endswith("form-action 'self' http:")
    assert_page(corridor.ask(redirect_uri="http://127.0.0.1:4321/callback"))


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:0/callback", "http://127.0.0.1:65536/callback", "http://127.0.0.1:/callback", "http://127.0.0.1:x/callback",
        "http://127.0.0.1:١٢/callback", "http://127.0.0.1:-1/callback", "http://127.0.0.1:80@evil.example/callback",
        "http://localhost:4000/callback", "http://127.0.0.2:4000/callback", "http://[::1]:4000/callback",
        "https://127.0.0.1:4000/callback", "http://127.0.0.1:4000/callback/x", "http://127.0.0.1:4000/callback?x", "http://127.0.0.1:4000",
        "http://127.0.0.1:4000/callback\n", "http://127.0.0.1:4000\\/callback", "http://u@127.0.0.1:4000/callback",
    ],
)  # fmt: skip
def test_a_native_address_differs_in_its_port_alone(corridor: Corridor, uri: str) -> None:
    corridor.partner, corridor.scope = corridor.cast.pocketfolio, "openid"
    assert_page(corridor.ask(redirect_uri=uri))
