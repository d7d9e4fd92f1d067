from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from portal.businesses.models import Membership
from portal.consents.models import Consent
from portal.interaction import Interaction
from tests.support.corridor import Corridor
from tests.support.forms import Form, form_in, submit

Transaction = Callable[[], AbstractContextManager[Session]]
PATH = "/connect/business"


@pytest.fixture
def alice(corridor: Corridor) -> Corridor:
    corridor.arrive_signed_in()
    return corridor


@pytest.fixture
def priya(corridor: Corridor) -> Corridor:
    """Member of twelve businesses."""
    corridor.person = corridor.cast.priya
    corridor.arrive_signed_in()
    return corridor


def choosing(page: TestResponse) -> Form:
    return form_in(page, having=["business_id"], action=PATH)


def open_ones(page: TestResponse) -> list[str]:
    return choosing(page).choices("business_id")


def closed_ones(page: TestResponse) -> str:
    return page.text.partition("Businesses you cannot choose")[2]


def parked_of(page: TestResponse) -> str:
    return form_in(page, action="/connect/consent").data()["interaction"][0]


def forge(corridor: Corridor, page: TestResponse, *business_ids: str) -> TestResponse:
    data: dict[str, Any] = {**choosing(page).data(), "business_id": list(business_ids)}
    return corridor.browser.post(PATH, data=data)


# what it shows


def test_each_business_is_told_apart(alice: Corridor) -> None:
    page = alice.page("business")
    for told in (
        "Acme Super Services",
        "ABN 51 824 753 556",
        "ACME",
        "Access Controller",
        " funds",
        "Step 3 of 4",
        "Ledgerly",
        "Alice",
    ):
        assert told in page.text, told
    assert "Birch" not in page.text


def test_only_one_business_is_chosen_already_and_still_shown(alice: Corridor) -> None:
    assert choosing(alice.page("business")).ticked("business_id") == ["business-acme"]


def test_of_many_none_is_chosen_before(priya: Corridor) -> None:
    page = priya.page("business")
    assert choosing(page).ticked("business_id") == []
    assert len(open_ones(page)) == 10


def test_those_that_cannot_be_chosen_come_with_the_reason_and_what_to_do(priya: Corridor) -> None:
    page = priya.page("business")
    assert not {"business-fernhill", "business-lockyer"} & set(open_ones(page))
    closed = closed_ones(page)
    assert (
        "Fernhill Accounting" in closed
        and "You have not accepted the invitation" in closed
        and 'Accept it under <a href="/businesses" target="_blank">My businesses<' in closed
    )
    assert "10 businesses you can choose, 2 you cannot" in page.text and closed.count("Accept it under") == 1
    assert (
        "Lockyer Trusts" in closed
        and "Only Access Controllers connect applications here" in closed
        and "Ask one of them" in closed
    )
    assert closed.count("disabled") == 2


def test_two_of_one_name_are_marked(priya: Corridor) -> None:
    page = priya.page("business")
    assert page.text.count("Another of your businesses has this name. Check the ABN and the code.") == 2
    assert "HARBOUR-SYD" in page.text and "HARBOUR-PER" in page.text


def test_those_connected_already_say_so(priya: Corridor) -> None:
    practice = priya.cast.practices[0]
    priya.cast.add_consent(priya.person, practice, scope="openid")
    priya.cast.add_consent(priya.person, priya.cast.practices[1], priya.cast.add_client(), scope="openid")
    text = priya.page("business").text
    assert text.count("Connected already") == 1
    box = text.partition(f'value="{practice.id}"')[2].partition('type="radio"')[0]
    assert "Connected already" in box


def test_a_role_that_cannot_give_what_is_required_is_no_choice(corridor: Corridor, transaction: Transaction) -> None:
    corridor.person = corridor.cast.bob
    corridor.arrive_signed_in()
    with transaction() as session:
        session.execute(update(Membership).where(Membership.user_id == "user-bob").values(role="fund_adviser"))
    page = corridor.page("business")
    assert "There is no business you can connect Ledgerly to" in page.text
    assert "Ledgerly needs “Read summary fund information”, which your role, Fund Adviser, cannot give." in page.text


def test_who_has_no_business_is_told_and_led_back(corridor: Corridor) -> None:
    corridor.person = corridor.cast.add_user()
    corridor.arrive_signed_in()
    page = corridor.page("business")
    assert "There is no business you can connect Ledgerly to" in page.text
    answer = submit(corridor.browser, page, button="decision=deny", action="/connect/consent")
    assert corridor.returned(corridor.walk(answer))["error"] == "access_denied"


# choosing


def test_what_was_chosen_is_what_the_consent_is_for(priya: Corridor, transaction: Transaction) -> None:
    priya.company = priya.cast.practices[1]
    assert priya.tokens()["business_id"] == priya.company.id
    with transaction() as session:
        assert session.scalars(select(Consent)).one().business_id == priya.company.id


@pytest.mark.parametrize(
    "chosen",
    [
        (), ("",), ("business-birch",), ("nonsense",), ("business-fernhill",), ("business-lockyer",), ("\0",), ("é",), ("x" * 9000,),
        ("business-harbour-syd", "business-harbour-per"), ("business-harbour-syd", "business-harbour-syd"),
    ],
    ids=lambda chosen: ascii(" ".join(chosen)[:24]),
)  # fmt: skip
def test_exactly_one_that_is_open_must_be_chosen(priya: Corridor, transaction: Transaction, chosen: tuple[str, ...]) -> None:
    page = priya.page("business")
    answer = forge(priya, page, *chosen)
    assert answer.status_code == 400 and answer.text.count("Access is for one business at a time.") == 2
    assert 'id="businesses" aria-describedby="businesses-error"' in answer.text and 'id="businesses-error"' in answer.text
    with transaction() as session:
        assert session.get_one(Interaction, parked_of(page)).business_id is None
    assert priya.browser.get(f"/connect/consent?interaction={parked_of(page)}").location.startswith("/connect/continue")


def test_a_business_left_meanwhile_is_refused(priya: Corridor, transaction: Transaction) -> None:
    page = priya.page("business")
    with transaction() as session:
        left = update(Membership).where(Membership.business_id == "business-harbour-syd")
        session.execute(left.values(ended_at=priya.clock.now()))
    assert forge(priya, page, "business-harbour-syd").status_code == 400


def test_it_can_be_changed_from_the_consent_page(priya: Corridor) -> None:
    priya.company = priya.cast.practices[0]
    consent_page = priya.page("consent")
    change = re.search(r'href="(/connect/business\?interaction=[^"]+)"[^>]*>Change', consent_page.text)
    assert change is not None
    page = priya.browser.get(change[1])
    assert choosing(page).ticked("business_id") == [priya.company.id]
    answer = priya.walk(priya.choose(page, priya.cast.practices[1]), until="consent")
    assert priya.cast.practices[1].code in answer.text


def test_once_decided_it_is_not_changed(priya: Corridor, transaction: Transaction) -> None:
    priya.company = priya.cast.practices[0]
    business_page = priya.page("business")
    consent_page = priya.walk(priya.choose(business_page, priya.company), until="consent")
    priya.decide(consent_page)
    answer = priya.choose(business_page, priya.cast.practices[1])
    priya.returned(priya.walk(answer))
    with transaction() as session:
        assert session.scalars(select(Consent)).one().business_id == priya.company.id


def test_turning_back_from_here_is_a_no(alice: Corridor, transaction: Transaction) -> None:
    page = alice.page("business")
    answer = submit(alice.browser, page, button="decision=deny", action="/connect/consent")
    back = alice.returned(alice.walk(answer))
    assert (back["error"], back["state"]) == ("access_denied", "state-of-the-partner")
    with transaction() as session:
        assert session.scalars(select(Consent)).all() == []


# what the partner thinks of


def test_the_partner_may_think_of_one_which_is_then_only_chosen_before(priya: Corridor, transaction: Transaction) -> None:
    practice = priya.cast.practices[1]
    page = priya.page("business", business_id=practice.id)
    assert choosing(page).ticked("business_id") == [practice.id]
    with transaction() as session:
        assert session.get_one(Interaction, parked_of(page)).business_id is None
    priya.company = priya.cast.practices[0]
    tokens = priya.redeem(priya.returned(priya.walk(priya.choose(page, priya.company)))["code"]).json or {}
    assert tokens["business_id"] == priya.company.id


@pytest.mark.parametrize("hint", ["business-birch", "business-lockyer", "nonsense", "<b>"])
def test_one_that_cannot_be_chosen_is_told_and_not_chosen(priya: Corridor, hint: str) -> None:
    page = priya.page("business", business_id=hint)
    assert "asked for a business that you cannot connect it to" in page.text
    assert choosing(page).ticked("business_id") == []
    assert "Birch" not in page.text and "<b>" not in page.text


# searching


def test_a_few_are_not_searched(alice: Corridor) -> None:
    assert "Search your businesses" not in alice.page("business").text


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("harbour", ["business-harbour-per", "business-harbour-syd"]),
        ("  HARBOUR   super ", ["business-harbour-per", "business-harbour-syd"]),
        ("practice-7", ["business-practice-7"]),
        ("Practice number 12", ["business-practice-12"]),
    ],
)
def test_many_are_searched_by_name_and_code(priya: Corridor, words: str, found: list[str]) -> None:
    page = submit(priya.browser, priya.page("business"), {"q": words})
    assert sorted(open_ones(page)) == found
    assert f"{len(found)} of 12 businesses match" in page.text


@pytest.mark.parametrize("spaced", [True, False])
def test_an_abn_is_found_with_and_without_spaces(priya: Corridor, spaced: bool) -> None:
    abn = priya.cast.practices[0].abn
    words = f"{abn[:2]} {abn[2:5]} {abn[5:8]} {abn[8:]}" if spaced else abn
    assert open_ones(submit(priya.browser, priya.page("business"), {"q": words})) == ["business-harbour-syd"]


@pytest.mark.parametrize("words", ["nothing like it", "Birch", "%", "_", "'", "<script>", "é", "x" * 5000, "\0"])
def test_a_search_that_finds_nothing_leads_back_to_all(priya: Corridor, words: str) -> None:
    page = priya.browser.get(PATH, query_string={"interaction": parked_of(priya.page("business")), "q": words})
    assert page.status_code == 200 and "<script>alert" not in page.text
    if words != "\0":
        assert "Show all" in page.text or "show all" in page.text


def test_what_was_found_can_be_chosen(priya: Corridor) -> None:
    page = submit(priya.browser, priya.page("business"), {"q": "harbour-per"})
    assert priya.returned(priya.walk(priya.choose(page, priya.cast.practices[1])))["code"]


def test_it_cannot_be_framed_or_kept(alice: Corridor) -> None:
    headers = alice.page("business").headers
    assert headers["X-Frame-Options"] == "DENY" and "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert (headers["Referrer-Policy"], headers["Cache-Control"]) == ("no-referrer", "no-store")
