"""A running sample partner and its counterpart; each test has a browser of its own."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from tests.partner import authority as authorities
from tests.partner.authority import Authority
from tests.support.partner import TIMEOUT_SECONDS, Partner, running

IMPATIENT_SECONDS = 2.0


class Browser:
    """A browser at the partner, which goes to the portal and back when it is sent."""

    def __init__(self, partner: Partner) -> None:
        self.http = httpx.Client(base_url=partner.url, trust_env=False, timeout=30)
        self.seen = ""

    def get(self, path: str) -> httpx.Response:
        """One answer, followed while it leads to another page of the partner."""
        return self._arrive(self.http.get(path))

    def press(self, path: str) -> httpx.Response:
        """The button that posts to `path`, with the token of the page it stands on."""
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.http.get("/").text)
        return self._arrive(self.http.post(path, data={"csrf_token": token[1] if token else ""}))

    def leave(self, path: str = "/connect") -> httpx.Response:
        """To the portal, and no further: its answer, which leads back."""
        sent = self.http.get(path)
        assert sent.status_code == 302, sent.text
        return httpx.get(sent.headers["Location"], trust_env=False)

    def connect(self, path: str = "/connect") -> httpx.Response:
        back = self.leave(path)
        assert back.status_code == 303, back.text
        return self.get(back.headers["Location"])

    def _arrive(self, answer: httpx.Response) -> httpx.Response:
        while answer.is_redirect:
            answer = self.http.get(answer.headers["Location"])
        self.seen += answer.text
        return answer


@pytest.fixture(scope="session")
def _authority() -> Iterator[Authority]:
    authority, stop = authorities.serve()
    yield authority
    stop()


@pytest.fixture(scope="session")
def _partners(_authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[float], Partner]]:
    """The partner that waits this many seconds for an answer, started when first asked for."""
    with ExitStack() as closing:

        @cache
        def waiting(seconds: float) -> Partner:
            folder = tmp_path_factory.mktemp("partner")
            return closing.enter_context(running(_authority.url, folder, PARTNER_TIMEOUT_SECONDS=str(seconds)))

        yield waiting


@pytest.fixture
def partner(request: pytest.FixtureRequest, _partners: Callable[[float], Partner]) -> Partner:
    """A patient partner; `@pytest.mark.impatient` is for tests of an answer that does not come."""
    return _partners(IMPATIENT_SECONDS if request.node.get_closest_marker("impatient") else TIMEOUT_SECONDS)


@pytest.fixture
def authority(_authority: Authority, partner: Partner) -> Authority:
    """The counterpart, honest; the partner has read its metadata once."""
    _authority.reset()
    return _authority


@pytest.fixture
def window(partner: Partner) -> Iterator[Callable[[], Browser]]:
    """Opens a browser; each has cookies of its own."""
    with ExitStack() as closing:

        def open_one() -> Browser:
            browser = Browser(partner)
            closing.enter_context(browser.http)
            return browser

        yield open_one


@pytest.fixture
def visitor(window: Callable[[], Browser], authority: Authority, partner: Partner) -> Iterator[Browser]:
    """A browser, of which no page and no log may have shown a secret when the test ends."""
    browser = window()
    yield browser
    for secret in authority.secrets:
        assert secret not in browser.seen
        assert secret not in partner.log
    assert "Traceback" not in browser.seen + partner.log


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found.append(data)


def words(answer: httpx.Response) -> str:
    """What a person reads on the page."""
    reader = _Words()
    reader.feed(answer.text)
    return " ".join(" ".join(reader.found).split())


def html_from_a_proxy(status: int = 200) -> Callable[[], Any]:
    return lambda: ("<html><body>Please sign in to the hotel’s network</body></html>", status, {"Content-Type": "text/html"})


def too_late() -> Any:
    time.sleep(IMPATIENT_SECONDS * 1.5)
    return {}
