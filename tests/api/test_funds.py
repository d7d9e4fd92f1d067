from __future__ import annotations

import base64
import json
import random
from datetime import date

import pytest

from portal import db
from tests.api.world import ABN, ADDRESS, World

NAMES = [
    "Acacia Super Fund",
    "Banksia Super Fund",
    "banksia Fund",
    "Élan Fund",
    "O’Brien Fund",
    "Same Name",
    "Same Name",
    "Zammit Fund",
]


def pages(world: World, token: str, query: str) -> list[list[dict]]:
    seen, cursor = [], ""
    while cursor is not None:
        answer = world.call(f"/funds?{query}{cursor and '&cursor=' + cursor}", token)
        assert answer.status_code == 200, answer.text
        seen.append(answer.json["data"])
        cursor = answer.json["next_cursor"]
    return seen


def names(answer) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [fund["name"] for fund in answer.json["data"]]


def test_a_fund_in_the_list_has_its_summary_and_no_more(world: World) -> None:
    [fund_id] = world.add_funds("Bluegum Super Fund", tags=["audit due", "pension"])
    answer = world.call("/funds", world.grant("funds.summary").token)
    assert answer.content_type == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json == {
        "data": [
            {
                "id": fund_id, "code": "F000", "name": "Bluegum Super Fund", "status": "active", "tags": ["audit due", "pension"],
                "latest_period_update": "2026-06-30", "legal_entity_type": "Small APRA fund", "abn": ABN,
            }
        ],
        "next_cursor": None,
    }  # fmt: skip


def test_a_fund_that_was_never_processed_says_null(world: World) -> None:
    world.add_funds("Bluegum Super Fund", latest_period_update=None)
    assert world.call("/funds", world.grant("funds.summary").token).json["data"][0]["latest_period_update"] is None


def test_a_business_without_funds_has_an_empty_list(world: World) -> None:
    assert world.call("/funds", world.grant("funds.summary").token).json == {"data": [], "next_cursor": None}


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 9])
def test_pages_hold_each_fund_once_in_the_order_of_one_long_page(world: World, limit: int) -> None:
    ids = world.add_funds(*random.sample(NAMES, len(NAMES)))
    token = world.grant("funds.summary").token
    whole = world.call("/funds?limit=100", token).json["data"]
    assert {fund["id"] for fund in whole} == set(ids)
    found = pages(world, token, f"limit={limit}")
    assert [fund for page in found for fund in page] == whole
    assert all(len(page) == limit for page in found[:-1])
    assert 1 <= len(found[-1]) <= limit


def test_a_page_holds_twenty_when_nothing_is_said(world: World) -> None:
    world.add_funds(*(f"Fund {number:02}" for number in range(21)))
    token = world.grant("funds.summary").token
    assert [len(page) for page in pages(world, token, "")] == [20, 1]


def test_a_fund_that_comes_or_goes_between_pages_shifts_none(world: World) -> None:
    world.add_funds("B", "D", "F", "H")
    token = world.grant("funds.summary").token
    first = world.call("/funds?limit=2", token).json
    world.add_funds("A", "C", "E")
    assert names(world.call(f"/funds?limit=2&cursor={first['next_cursor']}", token)) == ["E", "F"]


def test_the_list_is_narrowed_by_status_tag_and_text(world: World) -> None:
    world.add_funds("Acacia Fund", status="closed", tags=["audit due"])
    world.add_funds("Banksia Fund", tags=["audit due", "pension"], abn="33102417032")
    world.add_funds("Grevillea 100% Fund", tags=["audit"], code="ACAC9")
    token = world.grant("funds.summary").token
    for query, found in (
        ("status=closed", ["Acacia Fund"]),
        ("status=winding_up", []),
        ("tag=audit+due", ["Acacia Fund", "Banksia Fund"]),
        ("tag=audit", ["Grevillea 100% Fund"]),
        ("tag=AUDIT", []),
        ("tag=%25", []),
        ("q=acac", ["Acacia Fund", "Grevillea 100% Fund"]),
        ("q=BANKSIA", ["Banksia Fund"]),
        ("q=100%25", ["Grevillea 100% Fund"]),
        ("q=%25a", []),
        ("q=_", []),
        ("q=%5C", []),
        ("q=33+102+417+032", ["Banksia Fund"]),
        ("q=", ["Acacia Fund", "Banksia Fund", "Grevillea 100% Fund"]),
        ("status=active&tag=audit+due&q=fund", ["Banksia Fund"]),
    ):
        assert names(world.call(f"/funds?{query}", token)) == found, query


def test_the_text_filter_folds_every_letter(world: World) -> None:
    token = world.grant("funds.summary").token
    world.add_funds("Élan Fund", "élan Trust", "Elan Fund", code="ŁÓDŹ")
    for q in ("É", "é", "ÉLAN", "élan"):
        assert names(world.call("/funds", token, query_string={"q": q})) == ["Élan Fund", "élan Trust"], q
    assert len(names(world.call("/funds", token, query_string={"q": "łódź"}))) == 3


def test_pages_keep_their_filters(world: World) -> None:
    world.add_funds("A1", "A2", "A3", status="closed", tags=["pension"])
    world.add_funds("A1", "A2", "A3")
    token = world.grant("funds.summary").token
    found = pages(world, token, "status=closed&tag=pension&q=a&limit=1")
    assert [[fund["status"] for fund in page] for page in found] == [["closed"]] * 3


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"), ("limit=101", "limit"), ("limit=-1", "limit"), ("limit=ten", "limit"), ("limit=1.5", "limit"),
        ("limit=", "limit"), ("limit=%D9%A1", "limit"), ("limit=99999999999999999999", "limit"), ("limit=5&limit=5", "limit"),
        ("status=open", "status"), ("status=", "status"), ("status=active&status=closed", "status"), ("tag=", "tag"),
        ("tag=%00", "tag"), ("q=a%00b", "q"), ("q=" + "a" * 101, "q"), ("q=a%0Ab", "q"), ("cursor=", "cursor"),
        ("cursor=" + "a" * 2001, "cursor"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_used_is_named(world: World, query: str, parameter: str) -> None:
    answer = world.call(f"/funds?{query}", world.grant("funds.summary").token)
    assert answer.status_code == 400
    assert answer.content_type == "application/problem+json"
    assert answer.json["parameter"] == parameter
    assert f"`{parameter}`" in answer.json["detail"]


def test_what_is_no_parameter_is_ignored_and_never_chooses_the_business(world: World) -> None:
    other = world.add_business()
    world.add_funds("Theirs", business_id=other)
    world.add_funds("Ours")
    token = world.grant("funds.summary").token
    assert names(world.call(f"/funds?business_id={other}&sort=abn", token)) == ["Ours"]


def _cursors(real: str) -> list[str]:
    raw = base64.urlsafe_b64decode(real + "=" * (-len(real) % 4))
    unsealed = base64.urlsafe_b64encode(json.dumps(["A", "x"]).encode()).decode().rstrip("=")
    wrong = [
        real[:-1],
        real + "A",
        real + "=",
        real[1:],
        real.swapcase(),
        "x",
        "é",
        "{}",
        "bnVsbA",
        unsealed,
        real + "%00",
        "a b",
    ]
    for place in range(0, len(raw), 5):
        changed = bytes([*raw[:place], raw[place] ^ 1, *raw[place + 1 :]])
        wrong.append(base64.urlsafe_b64encode(changed).decode().rstrip("="))
    return wrong


def test_a_cursor_that_was_changed_or_made_up_is_refused(world: World) -> None:
    world.add_funds("A", "B")
    token = world.grant("funds.summary").token
    real = world.call("/funds?limit=1", token).json["next_cursor"]
    assert names(world.call(f"/funds?limit=1&cursor={real}", token)) == ["B"]
    for wrong in _cursors(real):
        answer = world.call(f"/funds?limit=1&cursor={wrong}", token)
        assert answer.status_code == 400, wrong
        assert "cursor" in answer.json["detail"]


def test_a_cursor_goes_on_only_in_its_own_query_and_business(world: World) -> None:
    world.add_funds("A", "B")
    other = World(world.app)
    token = world.grant("funds.summary").token
    cursor = world.call("/funds?limit=1", token).json["next_cursor"]
    assert world.call(f"/funds?cursor={cursor}&limit=7", token).status_code == 200
    assert world.call(f"/funds?cursor={cursor}&status=active", token).status_code == 400
    assert world.call(f"/funds?cursor={cursor}", other.grant("funds.summary").token).status_code == 400


def test_one_fund_has_its_address(world: World) -> None:
    [fund_id] = world.add_funds("Bluegum Super Fund")
    answer = world.call(f"/funds/{fund_id}", world.grant("funds.basic").token)
    listed = world.call("/funds", world.grant("funds.summary").token).json["data"][0]
    assert answer.json == {**listed, "address": ADDRESS}


def test_members_of_a_fund_are_listed_by_name_with_exact_balances(world: World) -> None:
    [fund_id, other] = world.add_funds("Bluegum Super Fund", "Other Fund")
    second = world.add_member(fund_id, "Zoe", "0.10")
    first = world.add_member(
        fund_id, "Amelia", "12345678901234.56" if world.app.settings.database_url.startswith("post") else "1.00"
    )
    world.add_member(other, "Elsewhere")
    answer = world.call(f"/funds/{fund_id}/members", world.grant("members.read").token)
    assert [member["id"] for member in answer.json["data"]] == [first, second]
    assert answer.json["data"][1] == {
        "id": second, "fund_id": fund_id, "given_name": "Zoe", "family_name": "Hartigan", "date_of_birth": date(1961, 3, 4).isoformat(),
        "joined_on": "2009-07-01", "phase": "accumulation", "balance": "0.10", "etag": '"1"',
    }  # fmt: skip
    assert answer.json["data"][0]["balance"] in ("12345678901234.56", "1.00")


def test_a_fund_without_members_has_an_empty_list(world: World) -> None:
    [fund_id] = world.add_funds("Bluegum Super Fund")
    assert world.call(f"/funds/{fund_id}/members", world.grant("members.read").token).json == {"data": []}


@pytest.mark.parametrize("below", ["", "/members"])
def test_a_fund_of_another_business_is_as_unknown_as_one_that_never_was(world: World, below: str) -> None:
    [theirs] = world.add_funds("Theirs", business_id=world.add_business(name="Birch & Co"))
    token = world.grant("funds.read").token
    answers = [world.call(f"/funds/{fund_id}{below}", token) for fund_id in (theirs, db.new_id(), "%00", "a" * 300, "é")]
    assert [answer.status_code for answer in answers] == [404] * 5
    assert len({json.dumps({**answer.json, "instance": ""}) for answer in answers}) == 1
    assert len({str({**answer.headers, "X-Request-Id": "", "RateLimit": ""}) for answer in answers[:2]}) == 1
