from __future__ import annotations

import pytest

from portal.api import validation
from portal.businesses.abn import WEIGHTS
from portal.db import utcnow
from portal.demo import people, portfolio
from portal.demo.chance import Chance, with_check_digits
from portal.demo.portfolio import Portfolio
from portal.funds import reference_data


def is_valid_abn(abn: str) -> bool:
    """The rule of the Australian Business Register, written again."""
    digits = [int(digit) for digit in abn]
    digits[0] -= 1
    return len(abn) == 11 and abn[0] != "0" and sum(d * w for d, w in zip(digits, WEIGHTS, strict=True)) % 89 == 0


def test_the_rule_accepts_the_numbers_of_real_businesses() -> None:
    assert all(map(is_valid_abn, ["51824753556", "33102417032", "53004085616"]))
    assert not is_valid_abn("51824753557")


def test_made_up_business_numbers_are_valid_and_different() -> None:
    chance = Chance()
    made = [chance.abn() for _ in range(2000)]
    assert all(map(is_valid_abn, made))
    assert len(set(made)) == 2000


@pytest.mark.parametrize(("nine", "whole"), [("824753556", "51824753556"), ("004085616", "53004085616")])
def test_check_digits_are_those_of_the_register(nine: str, whole: str) -> None:
    assert with_check_digits(nine) == whole


def test_the_same_seed_makes_the_same_things() -> None:
    one, other = Chance(), Chance()
    assert [one.new_id(), one.abn(), one.address()] == [other.new_id(), other.abn(), other.address()]
    assert Chance(1).new_id() != Chance(2).new_id()


def test_priya_is_in_twelve_businesses_with_each_peculiarity() -> None:
    hers = [(company, place) for company in people.COMPANIES for place in company.people if place.email == people.PRIYA]
    names = [company.name for company, _place in hers]
    assert len(hers) == 12
    assert {place.role for _company, place in hers} == {"fund_administrator"}
    assert len(set(names)) == 11
    assert [company.code for company, place in hers if not place.accepted] == ["FERNHILL"]
    assert [company.code for company, _place in hers if company.connect_policy == "access_controllers"] == ["LOCKYER"]


def test_every_business_has_someone_who_controls_access() -> None:
    for company in people.COMPANIES:
        assert any(place.role == "access_controller" and place.accepted for place in company.people), company


def test_the_reference_data_of_the_demo_is_such_as_a_partner_may_load() -> None:
    made = Portfolio()
    for company in people.COMPANIES:
        portfolio.add_funds(made, company, "business", Chance(), now=utcnow())
    assert 0 < len(made.reference_data) < len(made.funds)
    for row in made.reference_data:
        data = {"as_at": row["as_at"].isoformat(), **{name: row[name] for name in reference_data.LISTS}}
        validation.check(data, "ReferenceData", rules=reference_data.faults)
