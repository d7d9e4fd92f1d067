from __future__ import annotations

import json
import re
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import Select, insert, text

from portal import Portal, db
from portal.funds import members, pension_accounts
from portal.funds.models import Member, PensionAccount
from tests.api.samples import add_things
from tests.api.world import World

LISTS = ("/members", "/pension-accounts")


def add_many(world: World, count: int) -> dict[str, list[str]]:
    [fund_id] = world.add_funds("Bluegum Super Fund")
    owners = [world.add_member(fund_id, f"Zoe {number}") for number in range(count)]
    return {"/members": owners, "/pension-accounts": [world.add_pension_account(owner) for owner in owners]}


def pages(world: World, token: str, path: str, limit: int) -> list[list[str]]:
    seen, cursor = [], ""
    while cursor is not None:
        answer = world.call(f"{path}?limit={limit}{cursor and '&cursor=' + cursor}", token)
        assert answer.status_code == 200, answer.text
        seen.append([thing["id"] for thing in answer.json["data"]])
        cursor = answer.json["next_cursor"]
    return seen


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("limit", [1, 3, 6, 7, 8, 100])
def test_pages_hold_each_once_in_the_order_in_which_they_came(world: World, path: str, limit: int) -> None:
    ids = sorted(add_many(world, 7)[path])
    add_things(world, world.add_business(name="Birch & Co"))
    found = pages(world, world.grant("members.read").token, path, limit)
    assert [thing for page in found for thing in page] == ids
    assert all(len(page) == limit for page in found[:-1])


@pytest.mark.parametrize("path", LISTS)
def test_what_comes_between_pages_comes_last(world: World, path: str) -> None:
    token = world.grant("members.read").token
    ids = add_many(world, 3)[path]
    first = world.call(f"{path}?limit=2", token).json
    late = add_many(world, 1)[path]
    rest = world.call(f"{path}?cursor={first['next_cursor']}", token).json
    assert {thing["id"] for thing in first["data"] + rest["data"]} == {*ids, *late}


@pytest.mark.parametrize("path", LISTS)
def test_a_cursor_goes_on_only_in_its_own_list_and_business(world: World, path: str) -> None:
    add_many(world, 2)
    token = world.grant("members.read funds.summary").token
    cursor = world.call(f"{path}?limit=1", token).json["next_cursor"]
    assert world.call(f"{path}?limit=1&cursor={cursor}", token).json["next_cursor"] is None
    other = World(world.app)
    add_many(other, 2)
    stranger = other.grant("members.read funds.summary").token
    answers = [world.call(f"{path}?cursor={cursor}", stranger), world.call(f"{path}?cursor=made-up", stranger)]
    assert [answer.status_code for answer in answers] == [400, 400]
    assert len({json.dumps({**answer.json, "instance": ""}) for answer in answers}) == 1
    for elsewhere in {*LISTS, "/funds"} - {path}:
        assert world.call(f"{elsewhere}?cursor={cursor}", token).status_code == 400


def test_one_thing_is_the_same_in_every_answer(world: World) -> None:
    things, token = add_things(world), world.grant("funds.read").token
    fund_id = things.ids["fund_id"]
    full = world.call(f"/funds/{fund_id}/full", token).json
    member = world.call(f"/members/{things.ids['member_id']}", token).json
    account = world.call(f"/pension-accounts/{things.ids['account_id']}", token).json
    assert member["fund_id"] == account["fund_id"] == fund_id and account["member_id"] == member["id"]
    for path, thing, part in (("members", member, "members"), ("pension-accounts", account, "pension_accounts")):
        assert world.call(f"/funds/{fund_id}/{path}", token).json["data"] == [thing] == full[part]
        assert world.call(f"/{path}", token).json["data"] == [thing]
    assert full["fund"] == world.call(f"/funds/{fund_id}", token).json
    assert account == {
        "id": things.ids["account_id"], "fund_id": fund_id, "member_id": member["id"], "kind": "account_based",
        "started_on": "2021-07-01", "balance": "398000.00", "etag": '"1"',
    }  # fmt: skip


def test_a_fund_and_a_business_without_members_have_empty_lists(world: World) -> None:
    token = world.grant("funds.read").token
    for path in LISTS:
        assert world.call(path, token).json == {"data": [], "next_cursor": None}
    [fund_id] = world.add_funds("Bluegum Super Fund")
    for path in LISTS:
        assert world.call(f"/funds/{fund_id}{path}", token).json == {"data": []}
    full = world.call(f"/funds/{fund_id}/full", token).json
    assert (full["members"], full["pension_accounts"]) == ([], [])


def plan_of(app: Portal, world: World, statement: Select) -> str:
    values = {"business_id": world.business_id, "rows": 21, "after_id": "m01500"}
    with app.app_context(), db.reader() as connection:
        compiled = statement.compile(connection.engine)
        named = compiled.construct_params(values)
        given = tuple(named[name] for name in compiled.positiontup or ()) if compiled.positional else named
        explain = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "
        return "\n".join(str(tuple(row)) for row in connection.exec_driver_sql(explain + str(compiled), given))


def test_a_page_far_down_a_long_list_is_found_by_the_index_and_not_sorted(app: Portal) -> None:
    world = World(app)
    for owner, letter in ((world.business_id, "m"), (world.add_business(), "n")):
        [fund_id] = world.add_funds("Bluegum Super Fund", business_id=owner)
        rows = [
            {
                "id": f"{letter}{number:05}", "fund_id": fund_id, "business_id": owner, "given_name": "Zoe", "family_name": "Ashby",
                "date_of_birth": date(1961, 3, 4), "joined_on": date(2009, 7, 1), "phase": "pension", "balance": Decimal(1), "version": 1,
            }
            for number in range(3000)
        ]  # fmt: skip
        accounts = [
            {
                "id": row["id"], "member_id": row["id"], "business_id": owner, "kind": "account_based", "started_on": row["joined_on"],
                "balance": Decimal(1), "version": 1,
            }
            for row in rows
        ]  # fmt: skip
        with world.session() as session:
            session.execute(insert(db.table_of(Member)), rows)
            session.execute(insert(db.table_of(PensionAccount)), accounts)
    with world.session() as session:
        session.execute(text("ANALYZE"))
    for pages_, index in (
        (members.PAGES, "ix_fund_members_business_id_id"),
        (pension_accounts.PAGES, "ix_pension_accounts_business_id_id"),
    ):
        for statement in (pages_.first, pages_.after):
            plan = plan_of(app, world, statement)
            assert index in plan, plan
            assert statement is pages_.first or re.search(r"\(business_id,id\)>|Index Cond.*ROW\(", plan), plan
            assert "Sort" not in plan, plan
            assert "TEMP B-TREE" not in plan, plan
