from __future__ import annotations

import pytest

from tests.support.corridor import Corridor

ASKED = "openid profile funds.summary"


@pytest.fixture
def connected(corridor: Corridor) -> Corridor:
    """Alice is signed in, and has allowed what Ledgerly asks for."""
    corridor.arrive_signed_in()
    corridor.cast.add_consent(scope=ASKED)
    return corridor


def test_a_consent_that_stands_answers_without_a_page(connected: Corridor) -> None:
    assert connected.returned(connected.ask())["code"]


def test_a_business_is_chosen_anew_where_there_are_several(connected: Corridor) -> None:
    connected.cast.add_member(connected.person, connected.cast.birch, "access_controller")
    page = connected.page("business")
    assert "Connected already" in page.text
    assert connected.returned(connected.walk(connected.choose(page, connected.cast.acme)))["code"]


def test_asking_for_more_leads_through_both_pages_and_shows_only_what_is_new_as_new(connected: Corridor) -> None:
    connected.scope = f"{ASKED} business.read"
    assert connected.page("business").status_code == 200
    page = connected.page("consent")
    assert page.text.count(">New<") == 1
    assert "takes the place of what you allowed then" in page.text


def test_a_native_client_is_never_answered_without_a_person(connected: Corridor) -> None:
    connected.partner, connected.scope = connected.cast.pocketfolio, "openid"
    connected.cast.add_consent(partner=connected.partner, scope="openid")
    assert connected.page("consent").status_code == 200
    assert connected.connect()["code"]
    assert connected.connect(prompt="none")["error"] == "consent_required"


@pytest.mark.parametrize("person_left", [True, False], ids=["another business", "policy"])
def test_a_consent_for_a_business_that_is_not_open_answers_nothing(corridor: Corridor, person_left: bool) -> None:
    corridor.arrive_signed_in()
    elsewhere = corridor.cast.add_business(connect_policy="access_controllers")
    if not person_left:
        corridor.cast.add_member(corridor.person, elsewhere, "fund_administrator")
    corridor.cast.add_consent(company=elsewhere, scope=ASKED)
    assert corridor.page("business").status_code == 200
    assert corridor.connect()["code"]
