from __future__ import annotations

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.forms import FormError, form_in, submit

PAGE = """
<form method="get" action="/search"><input name="q"></form>
<form method="post" action="/answer?step=2">
  <input type="hidden" name="csrf_token" value="token">
  <input type="email" name="email" value="">
  <input type="checkbox" name="scope" value="openid" checked>
  <input type="checkbox" name="scope" value="profile">
  <input type="checkbox" name="scope" value="funds.write" disabled>
  <input type="radio" name="business" value="acme"><input type="radio" name="business" value="birch">
  <select name="duration"><option value="session">Session</option><option value="12_months" selected>Year</option></select>
  <textarea name="note">as it &amp; was</textarea>
  <button name="decision" value="allow">Allow</button><button name="decision" value="deny">Deny</button>
</form>
"""


@pytest.fixture
def page() -> tuple[FlaskClient, TestResponse]:
    echo = Flask(__name__)
    echo.add_url_rule("/", "page", lambda: PAGE)
    echo.add_url_rule(
        "/answer", "answer", lambda: {"step": request.args["step"], **request.form.to_dict(flat=False)}, methods=["POST"]
    )
    echo.add_url_rule("/search", "search", lambda: dict(request.args))
    browser = echo.test_client()
    return browser, browser.get("/")


def test_hidden_fields_and_what_the_page_chose_are_sent(page: tuple[FlaskClient, TestResponse]) -> None:
    answer = submit(*page, {"email": "alice@acme.example"}, button="decision=allow")
    assert answer.json == {
        "step": "2",
        "csrf_token": ["token"],
        "email": ["alice@acme.example"],
        "scope": ["openid"],
        "duration": ["12_months"],
        "note": ["as it & was"],
        "decision": ["allow"],
    }


def test_choices_replace_what_the_page_chose(page: tuple[FlaskClient, TestResponse]) -> None:
    fields = {"scope": ["profile"], "business": "birch", "duration": "session"}
    answer = submit(*page, fields, button="decision=deny").json
    assert answer is not None
    assert (answer["scope"], answer["business"], answer["duration"]) == (["profile"], ["birch"], ["session"])
    assert answer["decision"] == ["deny"]


def test_a_search_form_is_sent_in_the_query(page: tuple[FlaskClient, TestResponse]) -> None:
    assert submit(*page, {"q": "acme"}, action="/search").json == {"q": "acme"}


@pytest.mark.parametrize(
    "fields",
    [{"password": "x"}, {"scope": ["funds.create"]}, {"scope": ["funds.write"]}, {"business": "quoll"}, {"duration": "for_ever"}],
    ids=["no such field", "no such choice", "disabled choice", "no such radio", "no such option"],
)
def test_what_the_page_does_not_offer_cannot_be_sent(page: tuple[FlaskClient, TestResponse], fields: dict[str, str]) -> None:
    with pytest.raises(FormError):
        submit(*page, fields, button="decision=allow")


@pytest.mark.parametrize("button", [None, "decision=maybe", "cancel"])
def test_one_button_must_be_pressed_that_is_there(page: tuple[FlaskClient, TestResponse], button: str | None) -> None:
    with pytest.raises(FormError):
        submit(*page, {"email": "alice@acme.example"}, button=button)


def test_a_form_tells_what_it_offers(page: tuple[FlaskClient, TestResponse]) -> None:
    form = form_in(page[1], having=["scope"])
    assert (form.choices("scope"), form.ticked("scope")) == (["openid", "profile"], ["openid"])
