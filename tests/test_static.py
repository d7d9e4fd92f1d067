from __future__ import annotations

import gzip

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Page, Response
from werkzeug.test import TestResponse

from tests.support.signin import Cast

ASKS_FOR_GZIP = {"Accept-Encoding": "gzip, br"}
FIRST_VIEW_BYTES = 60_000


def fetch(browser: FlaskClient, **headers: str) -> TestResponse:
    """The style sheet, read whole, so that its file is closed."""
    answer = browser.get("/static/css/base.css", headers=headers, buffered=True)
    answer.close()
    return answer


def test_style_sheets_go_out_packed_to_whom_they_help(browser: FlaskClient) -> None:
    plain = fetch(browser)
    packed = fetch(browser, **ASKS_FOR_GZIP)
    assert "Content-Encoding" not in plain.headers and packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data and len(packed.data) < len(plain.data) / 2
    assert "Accept-Encoding" in plain.headers["Vary"] and "Accept-Encoding" in packed.headers["Vary"]


def test_what_a_browser_has_is_not_sent_again(browser: FlaskClient) -> None:
    packed = fetch(browser, **ASKS_FOR_GZIP)
    again = fetch(browser, **ASKS_FOR_GZIP, **{"If-None-Match": packed.headers["ETag"]})
    assert again.status_code == 304 and again.data == b""


def test_pages_are_never_packed_since_they_hold_tokens(browser: FlaskClient) -> None:
    assert "Content-Encoding" not in browser.get("/login", headers=ASKS_FOR_GZIP).headers


def test_the_page_for_developers_is_packed_for_those_who_are_not_signed_in(browser: FlaskClient, cast: Cast) -> None:
    packed = browser.get("/developers", headers=ASKS_FOR_GZIP)
    assert packed.headers["Content-Encoding"] == "gzip" and len(packed.data) < 30_000
    assert b"Partner API" in gzip.decompress(packed.data)
    cast.open_session(browser, cast.alice)
    assert "Content-Encoding" not in browser.get("/developers", headers=ASKS_FOR_GZIP).headers


@pytest.mark.browser
@pytest.mark.parametrize("path", ["/business/business-acme/access", "/business/business-acme", "/developers"])
def test_the_first_view_of_a_page_is_small(page: Page, cast: Cast, path: str) -> None:
    cast.add_consent()
    arrived: list[Response] = []
    page.on("response", lambda answer: arrived.append(answer))  # noqa: PLW0108, a builtin cannot listen
    if path.startswith("/business/"):
        cast.open_page_session(page, cast.alice)
    page.goto(path, wait_until="networkidle")
    sizes = {
        answer.url: sum(answer.request.sizes()[part] for part in ("responseBodySize", "responseHeadersSize"))
        for answer in arrived
    }  # type: ignore[literal-required]
    assert len(sizes) > 7 and sum(sizes.values()) <= FIRST_VIEW_BYTES, sizes
