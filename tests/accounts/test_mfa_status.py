"""Whether a second factor is on is shown on every page that a signed-in person opens, also on those that refuse."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from portal import Portal
from tests.support.cast import Person
from tests.support.corridor import Corridor
from tests.support.csrf import csrf
from tests.support.forms import submit
from tests.support.pages import pages_of
from tests.support.signin import Cast

KNOWN = {"business_id": "business-acme", "client_id": "ledgerly", "kind": "insufficient-scope"}
ONWARD = {"/login", "/login/mfa", "/login/recovery"}
"""Pages that somebody signed in is led away from."""
CHIP = re.compile(r'<(?:a|span) class="mfa-chip mfa-chip--(\w+)".*?</svg>([^<]+)<')
CHIPS = {"alice": [("on", "MFA on")], "dana": [("off", "MFA off – set up")]}
IN_THE_CORRIDOR = {"alice": [("on", "MFA on")], "dana": [("off", "MFA off")]}
who = pytest.mark.parametrize("who", CHIPS)


def person(cast: Cast, who: str) -> Person:
    return {"alice": cast.alice, "dana": cast.dana}[who]


def chips(answer: TestResponse) -> list[tuple[str, str]]:
    return CHIP.findall(answer.text.partition("</header>")[0])


@who
def test_every_page_says_whether_the_second_factor_is_on(app: Portal, browser: FlaskClient, cast: Cast, who: str) -> None:
    cast.add_consent()
    cast.open_session(browser, person(cast, who))
    routes = app.url_map.bind("")
    led_away = set()
    for endpoint, rule in pages_of(app).items():
        path = routes.build(endpoint, {name: KNOWN[name] for name in rule.arguments})
        answer = browser.get(path)
        if answer.status_code == 303:
            led_away.add(path)
        else:
            expected = IN_THE_CORRIDOR[who] if path == "/oauth/logout" else CHIPS[who]
            assert (answer.mimetype, chips(answer)) == ("text/html", expected), path
    assert led_away == ONWARD


@who
def test_so_does_every_step_of_the_corridor(corridor: Corridor, who: str) -> None:
    corridor.person = person(corridor.cast, who)
    corridor.arrive_signed_in()
    assert chips(corridor.page("login", prompt="login")) == IN_THE_CORRIDOR[who]
    if who == "dana":
        assert chips(corridor.page("enrolment")) == IN_THE_CORRIDOR[who]
        assert chips(corridor.page("codes")) == IN_THE_CORRIDOR["alice"]
    for page in ("business", "consent"):
        assert chips(corridor.page(page)) == IN_THE_CORRIDOR["alice"]


@who
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/business/business-birch/access", 404),
        ("GET", "/connect/consent?interaction=gone", 410),
        ("GET", "/logout", 405),
        ("POST", "/account/mfa", 400),
    ],
)
def test_so_does_a_page_that_refuses(browser: FlaskClient, cast: Cast, who: str, method: str, path: str, status: int) -> None:
    cast.open_session(browser, person(cast, who))
    answer = browser.open(path, method=method)
    assert (answer.status_code, chips(answer)) == (status, CHIPS[who])
    assert "Sign out" in answer.text and cast.acme.name in answer.text
    assert submit(browser, answer, action="/logout").status_code == 303
    assert chips(browser.open(path, method=method)) == []


def test_so_does_a_page_that_refuses_a_click(app: Portal, browser: FlaskClient, cast: Cast) -> None:
    erins = cast.add_member(cast.add_user(), cast.acme, "fund_auditor")
    token = csrf(app, cast.open_session(browser, cast.dana))
    answer = browser.post(f"/business/business-acme/users/{erins.id}/remove", data=token)
    assert (answer.status_code, chips(answer)) == (403, CHIPS["dana"])


def test_what_a_click_did_is_said_by_the_page_that_follows_and_not_by_one_that_refuses(browser: FlaskClient, cast: Cast) -> None:
    cast.open_session(browser, cast.alice)
    submit(browser, browser.get("/business/business-acme"), {"connect_policy": "access_controllers"}, action="/policy")
    said = "Only Access Controllers may connect applications now."
    assert said not in browser.get("/nowhere").text
    assert said in browser.get("/business/business-acme").text
