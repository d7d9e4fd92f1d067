"""Every call × every scope × every role, against what the contract and the product say, written down here once more by hand."""

from __future__ import annotations

import re

import pytest

from portal.api.openapi import PREFIX
from portal.api.registry import TABLE, Endpoint
from portal.businesses.models import Membership
from portal.businesses.roles import ROLES
from portal.consents.catalogue import CATALOGUE
from tests.api.world import World

NEEDS = {
    "GET /funds": "funds.summary",
    "GET /funds/{id}": "funds.basic",
    "GET /funds/{id}/members": "members.read",
    "GET /funds/{id}/pension-accounts": "members.read",
    "GET /members": "members.read",
    "GET /pension-accounts": "members.read",
    "GET /funds/{id}/full": "funds.read",
    "GET /funds/{id}/documents": "funds.read",
    "GET /documents/{id}": "funds.read",
    "GET /documents/{id}/content": "funds.read",
    "PATCH /funds/{id}": "funds.write",
    "PATCH /members/{id}": "funds.write",
    "PATCH /pension-accounts/{id}": "funds.write",
    "POST /funds/{id}/documents": "funds.write",
    "POST /funds": "funds.create",
    "PUT /funds/{id}/reference-data": "funds.create",
    "GET /business": "business.read",
    "GET /business/users": "business.read",
}
NEEDS |= {  # beyond the contract
    "GET /members/{id}": "members.read",
    "GET /pension-accounts/{id}": "members.read",
    "GET /funds/{id}/reference-data": "funds.read",
}
OPENS = {
    "openid": {"openid"},
    "profile": {"profile"},
    "funds.summary": {"funds.summary"},
    "funds.basic": {"funds.basic"},
    "members.read": {"members.read"},
    "funds.read": {"funds.read", "funds.summary", "funds.basic", "members.read"},
    "funds.write": {"funds.write", "funds.read", "funds.summary", "funds.basic", "members.read"},
    "business.read": {"business.read"},
    "funds.create": {"funds.create"},
    "offline_access": {"offline_access"},
}
WRITING = {"funds.write", "funds.create"}
MAY_GIVE = {
    "access_controller": set(OPENS),
    "fund_administrator": set(OPENS),
    "feeds_administrator": set(OPENS) - WRITING,
    "fund_tax_agent": set(OPENS) - WRITING,
    "fund_auditor": set(OPENS) - WRITING,
    "fund_adviser": {"openid", "profile"},
}
OPEN_TO_ALL = {"GET /openapi.json"}


def name_of(line: Endpoint) -> str:
    return f"{line.method} {re.sub(r'<[^>]+>', '{id}', line.path)}"


LINES = {name_of(line): line for line in TABLE}


def expected(call: str, scope: str, role: str) -> bool:
    """A role that may not give a broad scope still leaves what the scope contains and the role may give."""
    return NEEDS[call] in OPENS[scope] & MAY_GIVE[role]


def test_the_table_is_that_of_the_contract() -> None:
    assert {call: " ".join(line.scopes) for call, line in LINES.items()} == NEEDS


def test_every_route_of_the_api_is_in_the_table(world: World) -> None:
    routes = {
        f"{method} {re.sub(r'<[^>]+>', '{id}', rule.rule.removeprefix(PREFIX))}"
        for rule in world.app.url_map.iter_rules()
        if rule.rule == "/api" or rule.rule.startswith("/api/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert routes == set(NEEDS) | OPEN_TO_ALL


def test_catalogue_and_roles_are_those_of_the_product() -> None:
    assert {name: {name, *scope.contains} for name, scope in CATALOGUE.items()} == OPENS
    assert {key: set(role.ceiling) for key, role in ROLES.items()} == MAY_GIVE


def is_open(world: World, call: str, token: str) -> bool:
    """Whether the guard lets the call pass. With no body and ids of nothing it then changes nothing; what it answers is not the matter."""
    line = LINES[call]
    answer = world.call(re.sub(r"<[^>]+>", "01jzc9x3m0v5k8q2n7d4t6h1rb", line.path), token, method=line.method)
    assert answer.status_code < 500
    if answer.status_code == 403:
        assert answer.json["scope"] == NEEDS[call]
        return False
    assert answer.status_code != 401
    return True


@pytest.mark.parametrize("role", MAY_GIVE)
@pytest.mark.parametrize("scope", OPENS)
def test_each_call_opens_to_this_scope_given_in_this_role_exactly_as_written(world: World, scope: str, role: str) -> None:
    token = world.grant(scope, role=role).token
    assert {call: is_open(world, call, token) for call in NEEDS} == {call: expected(call, scope, role) for call in NEEDS}


@pytest.mark.parametrize("role", MAY_GIVE)
def test_everything_but_one_scope_opens_everything_but_what_it_alone_opens(world: World, role: str) -> None:
    for missing in OPENS:
        given = [scope for scope in OPENS if scope != missing]
        token = world.grant(" ".join(given), role=role).token
        opened = {call: any(expected(call, scope, role) for scope in given) for call in NEEDS}
        assert {call: is_open(world, call, token) for call in NEEDS} == opened, missing


@pytest.mark.parametrize("role", MAY_GIVE)
def test_a_role_of_today_counts_for_a_consent_of_yesterday(world: World, role: str) -> None:
    grant = world.grant(" ".join(OPENS), role="access_controller")
    assert all(is_open(world, call, grant.token) for call in NEEDS)
    world.change(Membership, Membership.user_id == grant.user_id, role=role)
    opened = {call: any(expected(call, scope, role) for scope in OPENS) for call in NEEDS}
    assert {call: is_open(world, call, grant.token) for call in NEEDS} == opened


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_no_method_is_a_way_around(world: World, method: str) -> None:
    for call, line in LINES.items():
        answer = world.call(re.sub(r"<[^>]+>", "x", line.path), method=method)
        if method == "OPTIONS":
            assert (answer.status_code, answer.data) == (200, b""), call
        else:
            assert answer.status_code in (401, 405), call
