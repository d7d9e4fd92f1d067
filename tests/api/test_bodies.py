from __future__ import annotations

import json
from typing import Any

import pytest

from portal import Portal
from portal.api import validation
from portal.api.bodies import DEEPEST
from portal.api.registry import Endpoint
from portal.funds.changing import merge
from tests.api.samples import BODIES, NEW_FUND, REFERENCE_DATA, add_things, headers_of, path_of
from tests.api.test_real_server import raw_call
from tests.api.test_writing import WRITING, state
from tests.api.world import World
from tests.support.server import LiveServer

FUND = json.dumps(NEW_FUND).encode()


def deep(levels: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    return b'{"name":' + opening * levels + b"1" + closing * levels + b"}"


UNREADABLE = {
    "nothing": b"", "blank": b"  ", "half": FUND[:-1], "two": FUND * 2, "a comma too many": FUND[:-1] + b",}", "no JSON": b"name=x",
    "not a number": FUND.replace(b'"new client"', b"NaN"), "infinity": FUND.replace(b'"new client"', b"-Infinity"),
    "a huge number": FUND.replace(b'"new client"', b"9" * 5000), "twice": FUND.replace(b'"abn"', b'"name": "y", "abn"'),
    "UTF-16": json.dumps(NEW_FUND).encode("utf-16"), "Latin-1": '{"name": "é"}'.encode("latin-1"), "a byte order mark": b"\xef\xbb\xbf" + FUND,
    "half a surrogate pair": FUND.replace(b"Thornbury", b"\\ud800"), "the other half": FUND.replace(b'"name"', b'"\\udc00": 1, "name"'),
    "a bare control character": FUND.replace(b"Thornbury", b"\x01"), "single quotes": FUND.replace(b'"', b"'"), "bytes": bytes(range(256)),
    "deeper than any schema": deep(DEEPEST), "deep lists": deep(100_000), "deep objects": deep(100_000, b'{"a":', b"}"),
    "open lists": b"[" * 900_000, "gzip": b"\x1f\x8b\x08\x00",
}  # fmt: skip


@pytest.mark.parametrize("line", WRITING, ids=lambda line: line.name)
@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_cannot_be_read_one_way_is_refused(world: World, line: Endpoint, body: bytes) -> None:
    things = add_things(world)
    before = state(world)
    answer = world.call(
        path_of(line, things), world.grant("funds.write funds.create").token, method=line.method, data=body,
        headers=headers_of(line, things), content_type="application/json",
    )  # fmt: skip
    assert answer.status_code == 400, answer.text
    assert answer.json["type"].endswith("/unreadable-json")
    assert state(world) == before


MISFITS = {
    "1e400": b'{"name": 1e400}', "a big whole number": b'{"name": ' + b"9" * 4000 + b"}", "a list": b"[]", "null": b"null",
    "lists in lists": deep(DEEPEST - 3), "an empty name": b'{"": 1}', "a long name": b'{"' + b"x" * 900_000 + b'": 1}',
    "many names": json.dumps({f"n{number}": number for number in range(50_000)}).encode(),
    "odd names": json.dumps({"a/b~c": 1, "$ref": "#", "__proto__": {}, "\x00": 1, "\u202e": 1}).encode(),
    "a million letters": json.dumps({"name": "x" * 900_000}).encode(), "wrong kinds": b'{"name": {}, "tags": "x", "address": []}',
    "many tags": json.dumps({"tags": ["x"] * 100_000}).encode(), "numbers for text": b'{"balance": 1.5, "abn": 51824753556}',
    "a NUL": b'{"name": "a\\u0000b", "given_name": "a\\u0000b", "kind": "\\u0000"}',
}  # fmt: skip


@pytest.mark.parametrize("line", WRITING, ids=lambda line: line.name)
@pytest.mark.parametrize("body", MISFITS.values(), ids=MISFITS.keys())
def test_what_does_not_fit_is_refused_with_its_places(world: World, line: Endpoint, body: bytes) -> None:
    things = add_things(world)
    before = state(world)
    answer = world.call(
        path_of(line, things), world.grant("funds.write funds.create").token, method=line.method, data=body,
        headers=headers_of(line, things), content_type="application/json",
    )  # fmt: skip
    assert answer.status_code == 422, answer.text
    assert 1 <= len(answer.json["errors"]) <= 50
    assert len(answer.data) < 20_000
    assert state(world) == before


class Watched(dict[str, Any]):
    """An object in a body that counts how often it is looked at."""

    looks = 0
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        Watched.looks += 1
        return super().__eq__(other)


class Read(list[Any]):
    """A list in a body that counts how often something is taken from it."""

    takes = 0

    def __getitem__(self, place: Any) -> Any:
        Read.takes += 1
        return super().__getitem__(place)


def test_a_long_list_is_not_compared_each_with_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Watched, "looks", 0)
    with pytest.raises(validation.Invalid) as refused:
        validation.check({"tags": [*map(str, range(600)), *(Watched(a=number) for number in range(20))]}, "FundPatch")
    assert {"pointer": "#/tags", "detail": "may hold at most 50"} in refused.value.members["errors"]
    assert Watched.looks < 600


@pytest.mark.parametrize(
    ("tags", "is_refused"),
    [
        (["a", "a"], True),
        (["a", "b"], False),
        ([{"a": 1}, {"a": 1}], True),
        ([{"a": 1, "b": 2}, {"b": 2, "a": 1}], True),
        ([], False),
    ],
)
def test_the_same_twice_is_found_in_any_list(tags: list[Any], is_refused: bool) -> None:
    schema = {"type": "array", "uniqueItems": True}
    assert validation.Validator(schema).is_valid(tags) is not is_refused


def test_no_more_faults_are_looked_for_than_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Read, "takes", 0)
    with pytest.raises(validation.Invalid) as refused:
        validation.check({"as_at": "2026-06-30", "chart_of_accounts": Read([1] * 4000)}, "ReferenceData")
    assert len(refused.value.members["errors"]) == validation.MOST_FAULTS
    assert Read.takes < 4 * validation.MOST_FAULTS


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx"]
)
@pytest.mark.parametrize("line", WRITING, ids=lambda line: line.name)
def test_another_kind_of_content_is_refused_by_name(world: World, line: Endpoint, kind: str | None) -> None:
    things = add_things(world)
    answer = world.call(
        path_of(line, things), world.grant("funds.write funds.create").token, method=line.method, data=json.dumps(BODIES[line.name]),
        headers=headers_of(line, things), content_type=kind,
    )  # fmt: skip
    assert answer.status_code == 415
    allowed = answer.headers["Accept-Patch" if line.method == "PATCH" else "Accept"]
    assert "application/json" in allowed.split(", ")


def test_a_merge_patch_is_no_body_of_a_new_fund(world: World) -> None:
    token = world.grant("funds.create").token
    answer = world.call("/funds", token, method="POST", data=FUND, content_type="application/merge-patch+json")
    assert answer.status_code == 415


def test_more_than_a_megabyte_is_too_large(world: World) -> None:
    token = world.grant("funds.create").token
    answer = world.call("/funds", token, method="POST", data=FUND + b" " * 1_000_000, content_type="application/json")
    assert answer.status_code == 413
    assert answer.content_type == "application/problem+json"


def test_a_whole_megabyte_that_fits_is_taken(world: World) -> None:
    [fund_id] = world.add_funds("Bluegum Super Fund")
    accounts = [{"code": str(number), "name": "N" * 150, "type": "asset"} for number in range(5000)]
    body = json.dumps({**REFERENCE_DATA, "chart_of_accounts": accounts, "opening_balances": []}).encode()
    assert 900_000 < len(body) < 1_000_000
    token = world.grant("funds.create").token
    answer = world.call(f"/funds/{fund_id}/reference-data", token, method="PUT", data=body, content_type="application/json")
    assert answer.status_code == 200


def test_a_body_that_breaks_off_on_the_real_server_stores_nothing(app: Portal, live_server: LiveServer) -> None:
    world = World(app)
    bearer = b"Authorization: Bearer " + world.grant("funds.create").token.encode()
    json_type = b"Content-Type: application/json"
    before = state(world)
    for headers, body in (
        ([b"Transfer-Encoding: chunked"], b"5\r\nabc"),
        ([b"Transfer-Encoding: chunked"], b"zz\r\nabc\r\n0\r\n\r\n"),
        ([b"Content-Length: 3", b"Content-Encoding: gzip"], b"abc"),
        ([b"Content-Length: -1"], b""),
        ([b"Content-Length: 2000000"], b"{" * 2_000_000),
    ):
        status, answer = raw_call(live_server, bearer, json_type, *headers, body=body, method=b"POST", end=True)
        assert status < 500, (headers, answer)
    assert state(world) == before
    length = b"Content-Length: %d" % len(FUND)
    assert raw_call(live_server, bearer, json_type, length, body=FUND, method=b"POST")[0] == 201


@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}), ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}), ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}), ({"a": ["b"]}, {"a": "c"}, {"a": "c"}), ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}), ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]), ({"a": "b"}, ["c"], ["c"]), ({"a": "foo"}, None, None), ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}), ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)  # fmt: skip
def test_a_merge_is_that_of_rfc_7396(target: object, patch: object, merged: object) -> None:
    """Its appendix A, line by line."""
    assert merge(target, patch) == merged
