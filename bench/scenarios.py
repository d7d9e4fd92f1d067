"""What is measured: each call of the hot path, and what its answer must be. A wrong answer does not count."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from bench.bare import AROUND
from bench.client import Answer, Connection, WrongError
from bench.world import REDIRECT_URI, SCOPE, Facts, Item, deep_name, id_of
from portal import crypto

PAGE = 20
VERIFIER = "the-same-verifier-for-every-code-of-this-bench-0123456789"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
STATE = "a-state-of-ordinary-length"
MEGABYTE = os.urandom(1024 * 1024)
UPLOAD = (
    b'--bench\r\nContent-Disposition: form-data; name="type"\r\n\r\nannual_return\r\n'
    b'--bench\r\nContent-Disposition: form-data; name="file"; filename="return.pdf"\r\nContent-Type: application/pdf\r\n\r\n'
)
NEW_FUND = {
    "code": "ZNEW01", "name": "Zz New Fund", "legal_entity_type": "SMSF", "abn": "51824753556", "tags": ["new client"],
    "address": {"street_address": "1 Wharf Street", "locality": "Sydney", "region": "NSW", "postal_code": "2000"},
}  # fmt: skip
"""Its name comes after all others, so that the first page of a list stays as it is."""

Call = Callable[[Connection, Facts, Item], tuple[int, list[Item]]]
"""Makes one call with an item and checks its answer; returns the answer's size and what later calls can use."""


@dataclass(frozen=True)
class Scenario:
    """One line of the table. `target` is the CPU of a call at most, as a multiple of the bare route's."""

    name: str
    target: float
    call: Call
    items: str
    """The kind of item it takes, a key of `world.items`."""
    spends: bool = False
    """Whether an item is used up by a call."""
    share: int = 1
    """For how many calls of a cheap scenario this one makes one; its calls take their time or leave much behind."""
    like: str | None = None
    """The name of the one before it that it may be no dearer than, apart from the growth that is met."""


def expect(what: str, found: Any, expected: Any) -> None:
    if found != expected:
        raise WrongError(f"{what} is {found!r}, not {expected!r}")


def bearer(item: Item) -> dict[str, str]:
    return {"Authorization": f"Bearer {item.secret}"}


def bare(connection: Connection, _facts: Facts, item: Item) -> tuple[int, list[Item]]:
    """The yardstick; the item's number is the size."""
    answer = connection.get(f"/bare/{item.number}")
    expect("the size", len(answer.body), item.number)
    answer.json()
    return len(answer.body), [item]


def introspect(connection: Connection, facts: Facts, item: Item) -> tuple[int, list[Item]]:
    answer = connection.post("/oauth/introspect", {"token": item.secret}, basic=facts.client_of(item.number))
    told = answer.json()
    expect("active", told["active"], True)
    expect("consent_id", told["consent_id"], id_of("consent", item.number))
    expect("scope", told["scope"], SCOPE)
    return len(answer.body), [item]


def userinfo(connection: Connection, facts: Facts, item: Item) -> tuple[int, list[Item]]:
    answer = connection.get("/oauth/userinfo", bearer(item))
    told = answer.json()
    expect("sub", told["sub"], facts.user_of(item.number))
    expect("business_id", told["business_id"], facts.business_of(item.number))
    return len(answer.body), [item]


def list_funds(connection: Connection, facts: Facts, item: Item) -> tuple[int, list[Item]]:
    answer = connection.get(f"/api/v1/funds?limit={PAGE}", bearer(item))
    told = answer.json()
    expect("the number of funds", len(told["data"]), PAGE)
    expect("the first fund", told["data"][0]["id"], facts.first_fund_of(item.number))
    if not told["next_cursor"]:
        raise WrongError("there is no next page")
    return len(answer.body), [item]


def upload(connection: Connection, facts: Facts, item: Item) -> tuple[int, list[Item]]:
    """A document of a megabyte that the fund does not have yet."""
    content = b"%PDF-1.7\n" + os.urandom(16).hex().encode() + MEGABYTE
    form = UPLOAD + content + b"\r\n--bench--\r\n"
    answer = connection.upload(f"/api/v1/funds/{facts.first_fund_of(item.number)}/documents", form, "bench", bearer(item))
    told = answer.json(201)
    expect("the size", told["size"], len(content))
    expect("the digest", told["sha256"], hashlib.sha256(content).hexdigest())
    return len(answer.body), [item]


def list_far_down(connection: Connection, _facts: Facts, item: Item) -> tuple[int, list[Item]]:
    """A page somewhere in a list of 100,000; the item's secret is a token and the cursor to go on from."""
    token, _, cursor = item.secret.partition(" ")
    answer = connection.get(f"/api/v1/funds?limit={PAGE}&cursor={cursor}", {"Authorization": f"Bearer {token}"})
    told = answer.json()
    expect("the funds", [fund["name"] for fund in told["data"]], [deep_name(item.number + n) for n in range(1, PAGE + 1)])
    return len(answer.body), [item]


def create_fund(connection: Connection, _facts: Facts, item: Item) -> tuple[int, list[Item]]:
    headers = {**bearer(item), "Idempotency-Key": secrets.token_urlsafe(16)}
    answer = connection.post_json("/api/v1/funds", NEW_FUND, headers)
    told = answer.json(201)
    expect("the name", told["name"], NEW_FUND["name"])
    expect("where it is", answer.headers["location"], f"/api/v1/funds/{told['id']}")
    return len(answer.body), [item]


def verify(connection: Connection, facts: Facts, item: Item) -> tuple[int, list[Item]]:
    """It answers by headers alone, so the yardstick answers as little as JSON can be."""
    answer = connection.get("/oauth/verify?scope=funds.summary", bearer(item))
    expect("the status", answer.status, 200)
    expect("the consent", answer.headers["x-consent-id"], id_of("consent", item.number))
    expect("the user", answer.headers["x-user-id"], facts.user_of(item.number))
    return AROUND, [item]


def revoke(connection: Connection, facts: Facts, item: Item) -> tuple[int, list[Item]]:
    """The answer is the same for all tokens, so what was revoked is counted in the database at the end."""
    answer = connection.post("/oauth/revoke", {"token": item.secret}, basic=facts.client_of(item.number))
    expect("the answer", answer.json(), {})
    return len(answer.body), []


def refresh(connection: Connection, facts: Facts, item: Item) -> tuple[int, list[Item]]:
    form = {"grant_type": "refresh_token", "refresh_token": item.secret}
    answer = connection.post("/oauth/token", form, basic=facts.client_of(item.number))
    told = answer.json()
    check_tokens(told, item.number)
    if told["refresh_token"] == item.secret:
        raise WrongError("the refresh token did not rotate")
    return len(answer.body), [Item(item.number, told["refresh_token"])]


def authorize(connection: Connection, facts: Facts, item: Item) -> tuple[int, list[Item]]:
    answer, _ = code_of(connection, facts, item)
    return len(answer.headers["location"]), [item]


def whole_round(connection: Connection, facts: Facts, item: Item) -> tuple[int, list[Item]]:
    _, code = code_of(connection, facts, item)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER}
    answer = connection.post("/oauth/token", form, basic=facts.client_of(item.number))
    told = answer.json()
    check_tokens(told, item.number)
    expect("the parts of the ID token", told["id_token"].count("."), 2)
    return len(answer.body), [item]


def code_of(connection: Connection, facts: Facts, item: Item) -> tuple[Answer, str]:
    """Where the person is signed in and their consent stands, the answer is a code at once."""
    query = {
        "client_id": facts.client_of(item.number)[0],
        "redirect_uri": REDIRECT_URI,
        "response_type": "code",
        "scope": SCOPE,
        "state": STATE,
        "nonce": "a-nonce-of-ordinary-length",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "prompt": "none",
        "business_id": facts.business_of(item.number),
    }
    answer = connection.get(f"/oauth/authorize?{urlencode(query)}", {"Cookie": f"session={item.secret}"})
    expect("the status", answer.status, 303)
    location = answer.headers["location"]
    told = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
    expect("where it leads", location.partition("?")[0], REDIRECT_URI)
    expect("state", told.get("state"), STATE)
    expect("iss", told.get("iss"), facts.issuer)
    if not told.get("code", "").startswith(crypto.CODE):
        raise WrongError(f"there is no code in {location}")
    return answer, told["code"]


def check_tokens(told: dict[str, Any], number: int) -> None:
    expect("consent_id", told["consent_id"], id_of("consent", number))
    expect("scope", told["scope"], SCOPE)
    for member, prefix in (("access_token", crypto.ACCESS_TOKEN), ("refresh_token", crypto.REFRESH_TOKEN)):
        expect(member, told[member][: len(prefix)], prefix)


SCENARIOS = (
    Scenario("introspection", 3.3, introspect, "access"),
    Scenario("userinfo", 3.0, userinfo, "access with funds"),
    Scenario("verify for a proxy", 3.0, verify, "access with funds"),
    Scenario("list 20 funds", 5.0, list_funds, "access with funds"),
    Scenario("upload 1 MB document", 120.0, upload, "access with funds", share=10),
    Scenario("first 20 of 100,000 funds", 5.0, list_funds, "access with many funds"),
    Scenario("20 of 100,000 funds, at any depth", 5.0, list_far_down, "cursor", like="first 20 of 100,000 funds"),
    Scenario("create a fund", 30.0, create_fund, "access with funds"),
    Scenario("revocation", 5.0, revoke, "to revoke", spends=True),
    Scenario("refresh with rotation", 6.5, refresh, "refresh"),
    Scenario("authorize to code", 6.0, authorize, "session"),
    Scenario("authorize, code, token", 15.0, whole_round, "session"),
)
BARE = Scenario("bare route", 1.0, bare, "bare")
WARMING = SCENARIOS[0]
"""It looks up a token of any consent with all that depends on it, which is most of what the others do."""
BY_NAME = {scenario.name: scenario for scenario in (*SCENARIOS, BARE)}
