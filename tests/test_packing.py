from __future__ import annotations

import gzip
import re

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.corridor import Corridor
from tests.support.forms import form_in
from tests.support.signin import Cast

ASKS_FOR_GZIP = {"Accept-Encoding": "gzip, br"}
DIFFERS = re.compile(rb'name="csrf_token" value="[^"]+"|datetime="[^"]+"|Reference <code>\w+')
HAS_NAME = 8
"""The flag FNAME of RFC 1952 §2.3.1."""


def is_packed(answer: TestResponse) -> bool:
    return answer.headers.get("Content-Encoding") == "gzip"


def name_in(packed: bytes) -> bytes:
    return packed[10 : packed.index(b"\0", 10)] if packed[3] & HAS_NAME else b""


@pytest.mark.parametrize(
    "path", ["/business/business-acme/access", "/businesses?q=acme", "/account", "/login?confirm=1", "/developers", "/nowhere"]
)
def test_a_page_of_somebody_signed_in_goes_out_packed(browser: FlaskClient, cast: Cast, path: str) -> None:
    cast.open_session(browser, cast.alice)
    check_packing(browser, path)


@pytest.mark.parametrize("path", ["/login", "/developers", "/nowhere"])
def test_a_page_for_anybody_goes_out_packed(browser: FlaskClient, path: str) -> None:
    check_packing(browser, path)


def check_packing(browser: FlaskClient, path: str) -> None:
    plain, packed = browser.get(path), browser.get(path, headers=ASKS_FOR_GZIP)
    assert is_packed(packed) and not is_packed(plain) and len(packed.data) < len(plain.data)
    assert DIFFERS.sub(b"", gzip.decompress(packed.data)) == DIFFERS.sub(b"", plain.data)
    assert "Accept-Encoding" in plain.headers["Vary"] and "Accept-Encoding" in packed.headers["Vary"]
    assert int(packed.headers["Content-Length"]) == len(packed.data)


@pytest.mark.parametrize("wish", ["", "identity", "br", "gzip;q=0"])
def test_a_browser_that_does_not_take_it_gets_the_page_as_it_is(browser: FlaskClient, wish: str) -> None:
    answer = browser.get("/developers", headers={"Accept-Encoding": wish})
    assert not is_packed(answer) and "Partner API" in answer.text


def test_the_answer_to_a_form_is_packed_too(browser: FlaskClient) -> None:
    form = form_in(browser.get("/login"), having=["password"])
    answer = browser.post(form.action, data=form.data(), headers=ASKS_FOR_GZIP)
    assert answer.status_code == 400 and is_packed(answer) and b"Enter your password." in gzip.decompress(answer.data)


def test_how_long_a_packed_page_is_varies_by_chance(browser: FlaskClient) -> None:
    names = [name_in(browser.get("/developers", headers=ASKS_FOR_GZIP).data) for _ in range(12)]
    assert len({len(name) for name in names}) > 1


# what must not be packed


def test_the_key_of_a_second_factor_and_the_recovery_codes_leave_as_they_are(corridor: Corridor, cast: Cast) -> None:
    corridor.person = cast.dana
    corridor.browser.environ_base["HTTP_ACCEPT_ENCODING"] = "gzip"
    cast.open_session(corridor.browser, cast.dana)
    page = corridor.browser.get("/account/mfa")
    assert 'id="key"' in page.text and "<svg" in page.text and not is_packed(page)
    form = form_in(page, action="/account/mfa")
    again = corridor.browser.post(form.action, data={**form.data(), "code": "000000"})
    assert again.status_code == 400 and 'id="key"' in again.text and not is_packed(again)
    answer = corridor._enrolment(again)
    codes = corridor.browser.get(answer.location)
    assert len(re.findall(r"<li><code>", codes.text)) == 10 and not is_packed(codes)
    assert is_packed(corridor.browser.get("/account"))


def test_the_form_that_takes_a_code_to_the_partner_leaves_as_it_is(corridor: Corridor) -> None:
    corridor.arrive_signed_in()
    answer = corridor.walk(corridor.ask(response_mode="form_post"))
    assert "code" in form_in(answer, action=corridor.partner.redirect_uri).names()
    corridor.browser.environ_base["HTTP_ACCEPT_ENCODING"] = "gzip"
    page = corridor.ask(response_mode="form_post", prompt="none")
    assert "code" in corridor.returned(page) and len(page.data) > 1000 and not is_packed(page)


def test_an_answer_that_leads_elsewhere_leaves_as_it_is(browser: FlaskClient, cast: Cast) -> None:
    cast.open_session(browser, cast.alice)
    answer = browser.get(f"/login?next=/businesses?q={'x' * 1500}", headers=ASKS_FOR_GZIP)
    assert answer.status_code == 303 and len(answer.data) > 1500 and not is_packed(answer)
