from __future__ import annotations

from typing import Any

import pytest

from tests.api.samples import NEW_FUND, REFERENCE_DATA, add_things
from tests.api.test_writing import faults, state, told
from tests.api.world import World


@pytest.fixture
def token(world: World) -> str:
    return world.grant("funds.write funds.create").token


@pytest.mark.parametrize(
    ("change", "place", "detail"),
    [
        ({"chart_of_accounts": [*REFERENCE_DATA["chart_of_accounts"], REFERENCE_DATA["chart_of_accounts"][0]]},
         "#/chart_of_accounts/3/code", "is the code of another line too"),
        ({"investment_codes": [*REFERENCE_DATA["investment_codes"] * 2]}, "#/investment_codes/1/code", "is the code of another line too"),
        ({"investment_codes": []}, "#/opening_balances/1/investment_code", "is not a code of investment_codes"),
        ({"chart_of_accounts": REFERENCE_DATA["chart_of_accounts"][1:]}, "#/opening_balances/0/account_code",
         "is not a code of chart_of_accounts"),
        ({"opening_balances": REFERENCE_DATA["opening_balances"][1:]}, "#/opening_balances",
         "must balance: debits and credits differ by -1000.10"),
        ({"opening_balances": [*REFERENCE_DATA["opening_balances"], {"account_code": "604", "amount": "0.00"}]},
         "#/opening_balances/3", "is a second balance of the same account"),
        ({"opening_balances": [{"account_code": "604", "amount": 1000.10}]}, "#/opening_balances/0/amount", "must be text"),
        ({"opening_balances": [{"account_code": "604", "amount": "1e3"}]}, "#/opening_balances/0/amount",
         "must be an exact decimal in text with two places and at most twelve digits before them, such as 418250.75"),
        ({"chart_of_accounts": []}, "#/chart_of_accounts", "must hold at least 1"),
        ({"chart_of_accounts": {}}, "#/chart_of_accounts", "must be a list"),
        ({"as_at": None}, "#/as_at", "must be text"),
        ({"as_at": "20260701"}, "#/as_at", "must be a day that there is, such as 2026-06-30"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("new", [False, True], ids=["loaded", "with a new fund"])
def test_reference_data_that_does_not_go_together_is_refused_whole(
    world: World, token: str, change: dict[str, Any], place: str, detail: str, new: bool
) -> None:
    things = add_things(world)
    before = state(world)
    data = {**REFERENCE_DATA, **change}
    if new:
        answer = world.call("/funds", token, method="POST", json={**NEW_FUND, "reference_data": data})
        place = place.replace("#/", "#/reference_data/")
    else:
        answer = world.call(f"/funds/{things.ids['fund_id']}/reference-data", token, method="PUT", json=data)
    assert faults(answer)[place] == detail
    assert state(world) == before


def test_balances_are_added_up_exactly(world: World, token: str) -> None:
    [fund_id] = world.add_funds("Bluegum Super Fund")
    lines = [{"code": str(number), "name": "A", "type": "asset"} for number in range(31)]
    balances = [{"account_code": str(number), "amount": "0.10"} for number in range(30)] + [
        {"account_code": "30", "amount": "-3.00"}
    ]
    data = {"as_at": "2026-07-01", "chart_of_accounts": lines, "opening_balances": balances}
    assert world.call(f"/funds/{fund_id}/reference-data", token, method="PUT", json=data).status_code == 200


def test_reference_data_takes_the_place_of_what_was_there(world: World, token: str) -> None:
    [fund_id] = world.add_funds("Bluegum Super Fund")
    path = f"/funds/{fund_id}/reference-data"
    assert world.call(path, token).status_code == 404
    first = world.call(path, token, method="PUT", json=REFERENCE_DATA)
    assert first.status_code == 200
    assert first.json == {
        "fund_id": fund_id, "as_at": "2026-07-01", "chart_of_accounts": 3, "investment_codes": 1, "opening_balances": 3,
    }  # fmt: skip
    less = {"as_at": "2027-07-01", "chart_of_accounts": REFERENCE_DATA["chart_of_accounts"][:1]}
    second = world.call(path, token, method="PUT", json=less)
    assert world.call(path, token).json == {**less, "investment_codes": [], "opening_balances": []}
    assert first.headers["ETag"] != second.headers["ETag"] == world.call(path, token).headers["ETag"]
    assert told(world) == ["Ledgerly loaded reference data into Bluegum Super Fund."] * 2


def test_a_load_may_say_what_it_takes_the_place_of(world: World, token: str) -> None:
    [fund_id] = world.add_funds("Bluegum Super Fund")

    def load(tag: str | None, as_at: str = "2026-07-01") -> Any:
        headers = {} if tag is None else {"If-Match": tag}
        data = {**REFERENCE_DATA, "as_at": as_at}
        return world.call(f"/funds/{fund_id}/reference-data", token, method="PUT", headers=headers, json=data)

    assert load('"1"').status_code == 412
    first = load(None)
    before = state(world)
    for tag, status in (('"7"', 412), (f"W/{first.headers['ETag']}", 412), ("*", 428), ("1", 400), ("", 400)):
        assert load(tag, "2027-07-01").status_code == status, tag
    assert state(world) == before
    second = load(first.headers["ETag"], "2028-07-01")
    assert (second.status_code, second.headers["ETag"]) == (200, '"2"')
    assert world.call(f"/funds/{fund_id}/reference-data", token).json == {**REFERENCE_DATA, "as_at": "2028-07-01"}
