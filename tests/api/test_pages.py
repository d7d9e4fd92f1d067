from __future__ import annotations

import gzip
import re
import shlex
from collections.abc import Callable, Iterator
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from portal.api import curl
from portal.api.openapi import PREFIX
from portal.api.operations import path_of
from portal.api.pages import SUBJECTS
from portal.api.problems import PROBLEMS
from portal.api.registry import TABLE, Endpoint
from portal.consents.catalogue import CATALOGUE
from portal.errors import problem_type
from tests.api.samples import add_things, form
from tests.api.world import World
from tests.support import chromium as browsers
from tests.support.server import LiveServer

SAVED = "--remote-name --remote-header-name"


class Anchors(HTMLParser):
    """The ids of a page, and the links to them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.ids += [str(named["id"])] if "id" in named else []
        self.links += [str(named["href"])] if tag == "a" else []


def read(world: World, path: str) -> str:
    answer = world.app.test_client().get(path, base_url=world.app.settings.issuer)
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    return answer.text


def test_anyone_can_read_about_every_call_and_every_scope(world: World) -> None:
    page = Anchors(read(world, "/developers"))
    assert {line.name for line in TABLE} | {f"scope-{name}" for name in CATALOGUE} <= set(page.ids)
    assert {f"/developers/problems/{kind}" for kind in PROBLEMS} <= set(page.links)
    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links if link.startswith("#")} <= set(page.ids)


def test_the_first_call_that_is_shown_is_the_list_of_funds(world: World) -> None:
    assert {line.subject for line in TABLE} == set(SUBJECTS)
    command = curl.line_of(next(line for line in TABLE if line.name == "list_funds"), world.app.settings.issuer + PREFIX)
    assert unescape(read(world, "/developers")).count(f"<code>{command}</code>") == 2


def test_the_page_is_small_when_packed(world: World) -> None:
    assert len(gzip.compress(read(world, "/developers").encode())) < 40_000


@pytest.mark.parametrize("kind", PROBLEMS)
def test_the_type_of_a_problem_opens_a_page_that_explains_it(world: World, kind: str) -> None:
    issuer = world.app.settings.issuer
    html = re.sub(r"</?code>", "`", unescape(read(world, problem_type(issuer, kind).removeprefix(issuer))))
    assert PROBLEMS[kind].when in html and PROBLEMS[kind].then in html
    whole = Anchors(read(world, "/developers"))
    assert {link.partition("#")[2] for link in Anchors(html).links if link.startswith("/developers#")} <= set(whole.ids)


def test_a_kind_that_is_none_is_not_found(world: World) -> None:
    answer = world.app.test_client().get("/developers/problems/nothing", base_url=world.app.settings.issuer)
    assert (answer.status_code, answer.mimetype) == (404, "text/html")


@pytest.mark.parametrize("path", ["/developers", "/developers/problems/not-found"])
def test_the_pages_are_for_reading_only(world: World, path: str) -> None:
    assert world.app.test_client().post(path, base_url=world.app.settings.issuer).status_code in (400, 405)


def test_the_footer_leads_there(world: World) -> None:
    assert "/developers" in Anchors(read(world, "/developers/problems/not-found")).links


@pytest.mark.parametrize("line", TABLE, ids=lambda line: line.name)
def test_the_line_for_the_shell_makes_the_call(world: World, line: Endpoint) -> None:
    things, token = add_things(world), world.grant("funds.write funds.create business.read").token
    command = curl.line_of(line, world.app.settings.issuer + PREFIX)
    assert command in unescape(read(world, "/developers"))
    words = shlex.split(command.replace("$TOKEN", token).replace(curl.NEXT_LINE, " ").replace(SAVED, ""))
    assert words[0] == "curl"
    options: dict[str, list[str]] = {"-X": [], "-H": [], "-d": [], "-F": []}
    for name, value in zip(words[2::2], words[3::2], strict=True):
        options[name].append(value)
    headers = dict(header.split(": ", 1) for header in options["-H"])
    if line.conditional:
        headers["If-Match"] = '"1"'
    path = re.sub(r"{(\w+)}", lambda name: things.ids[name[1]], path_of(line))
    fields = dict(field.split("=", 1) for field in options["-F"])
    if fields:
        assert fields.pop("file") == "@document.pdf"
        fields = form(**fields)
    body: dict[str, Any] = {"data": fields or options["-d"][0]} if fields or options["-d"] else {}
    method = options["-X"][0] if options["-X"] else ("POST" if body else "GET")
    assert words[1].startswith(world.app.settings.issuer + PREFIX)
    answer = world.call(path, method=method, headers=headers, **body)
    assert (answer.status_code, method) == (line.status, line.method), answer.text


@pytest.mark.browser
@pytest.mark.looks
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (320, "dark")])
def test_axe_finds_nothing_and_nothing_sticks_out(
    chromium: Browser, live_server: LiveServer, axe: Callable[..., list[str]], width: int, scheme: str
) -> None:
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    with browsers.window(chromium, base_url=live_server.url, **options) as window:
        page = window.new_page()
        for path in ("/developers", "/developers/problems/invalid-token", "/developers/problems/method-not-allowed"):
            page.goto(path)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
            assert axe(page) == [], path
            for fold in (*page.locator("details.entry > summary").all()[:2], *page.locator("details.fold > summary").all()[:4]):
                fold.click()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
            assert axe(page) == [], path


@pytest.fixture
def phone(chromium: Browser, live_server: LiveServer) -> Iterator[Page]:
    with browsers.window(chromium, base_url=live_server.url, viewport={"width": 360, "height": 740}) as window:
        yield window.new_page()


@pytest.mark.browser
@pytest.mark.looks
def test_on_a_telephone_the_page_is_short_enough_to_be_read(phone: Page) -> None:
    phone.goto("/developers")
    assert phone.evaluate("document.documentElement.scrollHeight") < 20 * 740
    assert not phone.get_by_text("Of your choice, such as a random UUID").first.is_visible()


@pytest.mark.browser
@pytest.mark.looks
def test_what_an_address_names_is_opened(phone: Page) -> None:
    for name in ("create_fund", "object-Fund"):
        phone.goto("/developers")
        phone.goto(f"/developers#{name}")
        expect(phone.locator(f"#{name}")).to_be_in_viewport()
        expect(phone.locator(f"details:has(> #{name}) > summary")).to_be_in_viewport()
    phone.get_by_role("link", name="POST /funds", exact=True).first.click()
    expect(phone.locator("#create_fund")).to_be_in_viewport()
    phone.goto("/developers/problems/bad-cursor")
    link = phone.locator("main a[href^='/developers#']").first
    name = str(link.get_attribute("href")).partition("#")[2]
    link.click()
    expect(phone.locator(f"#{name}")).to_be_in_viewport()


@pytest.mark.browser
@pytest.mark.looks
def test_on_paper_everything_is_open(phone: Page) -> None:
    phone.goto("/developers")
    is_shown = "[...document.querySelectorAll('.entry__body')].every((body) => body.checkVisibility({ contentVisibilityAuto: true }) && body.offsetHeight > 20)"
    assert not phone.evaluate(is_shown)
    phone.emulate_media(media="print")
    phone.wait_for_function(is_shown)  # what was left out is laid out with the next frame
