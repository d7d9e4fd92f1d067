from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from portal.audit import record
from portal.consents import history
from tests.support.clock import Clock
from tests.support.forms import submit
from tests.support.signin import Cast

Transaction = Callable[[], AbstractContextManager[Session]]
PAGE = "/business/business-acme/history"


def tell(transaction: Transaction, clock: Clock, kind: str, business: str | None = "business-acme", **detail: Any) -> None:
    with transaction() as session:
        record.record(session, kind, now=clock.now(), business_id=business, client_id="ledgerly", **detail)


def sentences(text: str) -> list[str]:
    return [words.replace("&#39;", "'") for words in re.findall(r'class="history-what">([^<]*)<', text)]


def test_what_happened_is_told_in_sentences_the_newest_first(browser: FlaskClient, cast: Cast) -> None:
    cast.add_consent(cast.alice)
    cast.add_consent(cast.bob)
    cast.open_session(browser, cast.alice)
    submit(browser, browser.get("/business/business-acme"), {"connect_policy": "access_controllers"}, action="/policy")
    submit(browser, browser.get("/business/business-acme/access"), action="/ledgerly/revoke")
    submit(browser, browser.get("/business/business-acme/access"), action="/ledgerly/undo")
    told = sentences(browser.get(PAGE).text)
    assert set(told[:2]) == {
        "Alice Hartigan undid ending the access of Ledgerly.",
        "Alice Hartigan undid ending the access of Ledgerly that Bob Kowalski had allowed.",
    }
    assert set(told[2:4]) == {
        "Alice Hartigan ended the access of Ledgerly.",
        "Alice Hartigan ended the access of Ledgerly that Bob Kowalski had allowed.",
    }
    assert told[4:] == ["Alice Hartigan let only Access Controllers connect applications."]


def test_a_role_is_told_of_who_gave_the_consent_and_of_nobody_else(browser: FlaskClient, cast: Cast) -> None:
    cast.add_consent(cast.bob, role="fund_auditor")
    cast.open_session(browser, cast.alice)
    submit(browser, browser.get("/business/business-acme/access"), action="/ledgerly/revoke")
    submit(browser, browser.get("/business/business-acme/access"), action="/ledgerly/undo")
    text = browser.get(PAGE).text
    assert "that Bob Kowalski had allowed" in text and "as Fund Auditor" not in text
    cast.open_session(browser, cast.bob)
    submit(browser, browser.get("/business/business-acme/access"), action="/ledgerly/revoke")
    assert browser.get(PAGE).text.count("as Fund Auditor") == 1


@pytest.mark.parametrize("kind", sorted(history.SENTENCES))
def test_each_kind_has_a_sentence_even_with_no_facts(
    browser: FlaskClient, cast: Cast, transaction: Transaction, clock: Clock, kind: str
) -> None:
    assert kind in record.KINDS
    tell(transaction, clock, kind)
    cast.open_session(browser, cast.bob)
    (told,) = sentences(browser.get(PAGE).text)
    assert told.endswith(".") and "{" not in told and "  " not in told


def test_a_consent_tells_its_titles_and_keeps_the_raw_names_folded(
    browser: FlaskClient, cast: Cast, transaction: Transaction, clock: Clock
) -> None:
    facts = {
        "user_name": "Alice Nguyen",
        "client_name": "<i>Ledgerly</i>",
        "scopes": ["funds.write", "openid"],
        "role": "fund_auditor",
    }
    tell(transaction, clock, "consent.given", **facts)
    cast.open_session(browser, cast.bob)
    text = browser.get(PAGE).text
    assert "Know your identity; Read and modify all fund information" in text and "Fund Auditor" in text
    assert "<i>Ledgerly" not in text and "<time datetime=" in text
    assert "funds.write" not in re.sub(r"<details.*?</details>", "", text, flags=re.DOTALL)


def test_how_people_sign_in_is_in_no_business_s_history(
    browser: FlaskClient, cast: Cast, transaction: Transaction, clock: Clock
) -> None:
    stopped = {"user.disabled", "user.enabled", "client.disabled", "client.enabled"}
    for kind in record.KINDS.keys() - stopped:
        if kind.startswith(("user.", "client.", "key.")):
            tell(transaction, clock, kind, user_name="Bob")
    cast.open_session(browser, cast.alice)
    text = browser.get(PAGE).text
    assert sentences(text) == [] and "Nothing has happened yet" in text


def test_only_who_manages_the_business_sees_network_addresses(browser: FlaskClient, cast: Cast) -> None:
    cast.add_consent(cast.alice)
    cast.open_session(browser, cast.alice)
    submit(browser, browser.get("/business/business-acme/access"), action="/ledgerly/revoke")
    assert "Network address" in browser.get(PAGE).text
    cast.open_session(browser, cast.dana)
    text = browser.get(PAGE).text
    assert "Network address" not in text and len(sentences(text)) == 1


def test_another_business_s_history_is_not_found(
    browser: FlaskClient, cast: Cast, transaction: Transaction, clock: Clock
) -> None:
    tell(transaction, clock, "consent.denied", "business-birch", user_name="Charlie")
    cast.open_session(browser, cast.alice)
    assert browser.get("/business/business-birch/history").status_code == 404
    assert sentences(browser.get(PAGE).text) == []


def test_pages_neither_skip_nor_repeat_when_more_happens(
    browser: FlaskClient, cast: Cast, transaction: Transaction, clock: Clock
) -> None:
    for number in range(70):
        tell(transaction, clock, "consent.denied", user_name=f"Person {number:02}")
        clock.advance(seconds=1)
    cast.open_session(browser, cast.bob)
    seen, path, pages = [], PAGE, 0
    while path:
        text = browser.get(path).text
        seen += sentences(text)
        tell(transaction, clock, "consent.denied", user_name="Somebody new")
        found = re.search(r'href="([^"]*before=[^"]*)"', text)
        path, pages = found[1] if found else "", pages + 1
    assert pages == 3 and len(seen) == len(set(seen)) == 70
    assert {f"Person {number:02} denied A partner application access." for number in range(70)} == set(seen)


@pytest.mark.parametrize("cursor", ["%00", "'", "zz" * 100, "0", "../..", "%F0%9F%92%A9"])
def test_a_cursor_that_nobody_handed_out_does_no_harm(browser: FlaskClient, cast: Cast, cursor: str) -> None:
    cast.open_session(browser, cast.alice)
    assert browser.get(f"{PAGE}?before={cursor}").status_code == 200
