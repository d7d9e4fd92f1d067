from __future__ import annotations

import json
import re
from typing import Any

import pytest
from sqlalchemy import func, select

from portal import db
from portal.api import validation
from portal.api.registry import TABLE, Endpoint
from portal.audit.models import AuditEvent
from portal.businesses.models import Business
from portal.consents import history
from portal.funds.models import Fund, Member, PensionAccount, ReferenceData
from tests.api.samples import BODIES, NEW_FUND, REFERENCE_DATA, Things, add_things, path_of, send
from tests.api.world import ABN, ADDRESS, World

WRITING = [line for line in TABLE if line.writes and line.name in BODIES]
CHANGING = [line for line in WRITING if line.conditional]
MODELS = (Fund, Member, PensionAccount, ReferenceData)


@pytest.fixture
def token(world: World) -> str:
    return world.grant("funds.write funds.create").token


def faults(answer: Any) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    assert answer.content_type == "application/problem+json"
    return {fault["pointer"]: fault["detail"] for fault in answer.json["errors"]}


def state(world: World, business_id: str | None = None) -> dict[str, list[Any]]:
    """All that is stored of the funds of a business, by table."""
    owner = business_id or world.business_id
    with world.session() as session:
        ids = list(session.scalars(select(Fund.id).where(Fund.business_id == owner)))
        found = {
            model.__tablename__: [
                tuple(row)
                for row in session.execute(
                    select(db.table_of(model)).where(
                        model.fund_id.in_(ids) if model is ReferenceData else model.business_id == owner
                    )
                )
            ]
            for model in MODELS
        }
        found["fund_count"] = [session.scalar(select(Business.fund_count).where(Business.id == owner))]
        found["events"] = [session.scalar(select(func.count()).where(AuditEvent.business_id == owner))]
        return found


def told(world: World) -> list[str]:
    """The sentences of the business's history, the newest first."""
    with world.session() as session:
        events = session.scalars(
            select(AuditEvent).where(AuditEvent.business_id == world.business_id).order_by(AuditEvent.id.desc())
        )
        return [history.entry_of(event, with_address=False, brand="Class").sentence for event in events]


# a new fund


def test_a_new_fund_is_answered_as_it_can_be_read(world: World, token: str) -> None:
    answer = world.call("/funds", token, method="POST", json=NEW_FUND)
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/api/v1/funds/{answer.json['id']}"
    assert answer.json == {
        "id": answer.json["id"], "code": "THOR01", "name": "Thornbury Super Fund", "status": "active", "tags": ["new client"],
        "latest_period_update": None, "legal_entity_type": "Small APRA fund", "abn": ABN, "address": ADDRESS,
    }  # fmt: skip
    read = world.call(f"/funds/{answer.json['id']}", token)
    assert read.json == answer.json
    assert read.headers["ETag"] == answer.headers["ETag"] == '"1"'
    assert [fund["id"] for fund in world.call("/funds", token).json["data"]] == [answer.json["id"]]
    assert world.call(f"/funds/{answer.json['id']}/reference-data", token).json == REFERENCE_DATA
    assert state(world)["fund_count"] == [1]
    assert told(world) == ["Ledgerly created the fund Thornbury Super Fund and loaded its reference data."]


def test_a_new_fund_needs_no_more_than_it_must_have(world: World, token: str) -> None:
    least = {name: NEW_FUND[name] for name in ("code", "name", "legal_entity_type", "abn")}
    answer = world.call("/funds", token, method="POST", json=least)
    assert answer.status_code == 201
    assert told(world) == ["Ledgerly created the fund Thornbury Super Fund."]
    assert (answer.json["status"], answer.json["tags"], answer.json["address"]) == ("active", [], {})
    assert world.call(f"/funds/{answer.json['id']}/reference-data", token).status_code == 404


def test_every_fault_of_a_new_fund_is_told_at_once_and_without_the_value(world: World, token: str) -> None:
    before = state(world)
    wrong = {
        "name": "", "status": "open-secret", "tags": ["a", "a"], "latest_period_update": "2026-02-30", "abn": "51824753557",
        "address": {"postal_code": 2800, "planet": "Earth"}, "id": "01jzc9x3m0v5k8q2n7d4t6h1rb", "colour": "green-secret",
        "legal_entity_type": "x" * 65,
    }  # fmt: skip
    answer = world.call("/funds", token, method="POST", json=wrong)
    assert faults(answer) == {
        "#/abn": "must be an Australian Business Number: eleven digits without spaces, valid by checksum",
        "#/address/planet": "is not known here",
        "#/address/postal_code": "must be text",
        "#/code": "is required",
        "#/colour": "is not known here",
        "#/id": "is read only: it is told, and cannot be sent",
        "#/latest_period_update": "must be a day that there is, such as 2026-06-30",
        "#/legal_entity_type": "may hold at most 64 characters",
        "#/name": "must hold at least 1 character",
        "#/status": "must be one of active, winding_up, closed",
        "#/tags": "must not hold the same twice",
    }
    assert "secret" not in answer.text and "51824753557" not in answer.text
    assert state(world) == before


@pytest.mark.parametrize(
    "abn",
    ["51 824 753 556", "5182475355", "518247535566", "00000000000", "abcdefghijk", "٥١٨٢٤٧٥٣٥٥٦", "51824753556\n", 51824753556],
)
def test_what_is_no_abn_by_checksum_is_refused(world: World, token: str, abn: Any) -> None:
    assert list(faults(world.call("/funds", token, method="POST", json={**NEW_FUND, "abn": abn}))) == ["#/abn"]


MISLEADING = [
    "a\x00b", "a\nb", "a\x1b", "\x85", "a\u202eb", "ends\n", "\u2066x", "", "Acme \u200fdnuF", "\u200eAcme", "Ac\u061cme", "Ac\u00adme",
    "Ac\u200bme", "Ac\u2060me", "\ufeffAcme", " ", "\u00a0\u2003", "\u3164", "\u200d", "\u2800 ",
]  # fmt: skip


@pytest.mark.parametrize("name", [*MISLEADING, "x" * 201])
def test_a_name_that_misleads_or_breaks_is_refused(world: World, token: str, name: str) -> None:
    assert list(faults(world.call("/funds", token, method="POST", json={**NEW_FUND, "name": name}))) == ["#/name"]


@pytest.mark.parametrize(
    "name",
    [
        "O’Brien & Söhne <b>",
        "ファンド",
        "می\u200cخواهم",
        "\u3000ー",
        " Acme ",
        "👩\u200d👧 Fund",
        "🦘 Fund",
        '"; DROP TABLE funds; --',
        "{client_name}",
        "%s%n",
    ],
)
def test_a_name_in_any_script_is_kept_as_it_came(world: World, token: str, name: str) -> None:
    answer = world.call("/funds", token, method="POST", json={**NEW_FUND, "name": name})
    assert world.call(f"/funds/{answer.json['id']}", token).json["name"] == name
    assert told(world) == [f"Ledgerly created the fund {name} and loaded its reference data."]


@pytest.mark.parametrize("text", MISLEADING)
def test_no_other_line_that_is_sent_misleads_either(text: str) -> None:
    sent: list[tuple[str, dict[str, Any]]] = [
        ("FundPatch", {"code": text, "tags": [text], "legal_entity_type": text, "address": {"locality": text}}),
        ("MemberPatch", {"given_name": text, "family_name": text}),
        ("NewDocument", {"file": "", "name": "a.pdf", "type": "minutes", "tags": [text]}),
    ]
    for schema, body in sent:
        with pytest.raises(validation.Invalid) as refused:
            validation.check(body, schema)
        assert len(refused.value.members["errors"]) == sum(name not in ("file", "name", "type") for name in body)


# changes


def test_a_patch_changes_what_it_names_and_leaves_the_rest(world: World, token: str) -> None:
    [fund_id] = world.add_funds("Bluegum Super Fund", tags=["a"])
    before = world.call(f"/funds/{fund_id}", token)
    patch = {"name": "Redgum Super Fund", "latest_period_update": None, "address": {"locality": "Bathurst", "country": None}}
    answer = world.call(
        f"/funds/{fund_id}", token, method="PATCH", headers={"If-Match": before.headers["ETag"]}, data=json.dumps(patch),
        content_type="application/merge-patch+json",
    )  # fmt: skip
    assert answer.status_code == 200
    address = {name: line for name, line in ADDRESS.items() if name != "country"} | {"locality": "Bathurst"}
    assert answer.json == {**before.json, "name": "Redgum Super Fund", "latest_period_update": None, "address": address}
    after = world.call(f"/funds/{fund_id}", token)
    assert after.json == answer.json
    assert after.headers["ETag"] == answer.headers["ETag"] != before.headers["ETag"]
    assert told(world) == ["Ledgerly changed the name, latest period update and address of Bluegum Super Fund."]


def test_a_member_and_a_pension_account_change_alike(world: World, token: str) -> None:
    things = add_things(world)
    for path, patch in (
        (f"/members/{things.ids['member_id']}", {"given_name": "Zara", "date_of_birth": "1960-02-29", "balance": "-0.05"}),
        (f"/pension-accounts/{things.ids['account_id']}", {"kind": "market_linked", "balance": "999999999999.99"}),
    ):
        before = world.call(path, token)
        assert before.headers["ETag"] == before.json["etag"]
        answer = world.call(path, token, method="PATCH", headers={"If-Match": before.json["etag"]}, json=patch)
        assert answer.json == {**before.json, **patch, "etag": answer.headers["ETag"]}
        assert world.call(path, token).json == answer.json
    assert told(world) == [
        "Ledgerly changed the kind and balance of the pension account of Zara Hartigan in Bluegum Super Fund.",
        "Ledgerly changed the given name, date of birth and balance of Zoe Hartigan in Bluegum Super Fund.",
    ]


@pytest.mark.parametrize("patch", [{}, {"name": "Bluegum Super Fund"}, {"address": {}}, {"address": {"postal_code": "2800"}}])
def test_a_patch_that_changes_nothing_writes_nothing(world: World, token: str, patch: dict[str, Any]) -> None:
    [fund_id] = world.add_funds("Bluegum Super Fund")
    before = state(world)
    answer = world.call(f"/funds/{fund_id}", token, method="PATCH", headers={"If-Match": '"1"'}, json=patch)
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"1"')
    assert state(world) == before


@pytest.mark.parametrize("line", CHANGING, ids=lambda line: line.name)
def test_read_only_members_are_refused_by_name(world: World, token: str, line: Endpoint) -> None:
    things = add_things(world)
    before = state(world)
    shown = world.call(path_of(line, things), token).json
    fixed = set(shown) & {"id", "fund_id", "member_id", "etag"}
    for name in fixed:
        for value in (shown[name], "other", None):
            answer = world.call(path_of(line, things), token, method="PATCH", headers={"If-Match": '"1"'}, json={name: value})
            assert faults(answer) == {f"#/{name}": "is read only: it is told, and cannot be sent"}
    assert fixed
    assert state(world) == before


@pytest.mark.parametrize("line", CHANGING, ids=lambda line: line.name)
def test_what_must_be_there_cannot_be_removed(world: World, token: str, line: Endpoint) -> None:
    things = add_things(world)
    before = state(world)
    removable = {"latest_period_update"}
    shown = world.call(path_of(line, things), token).json
    patch = {name: None for name in shown if name not in {*removable, "id", "fund_id", "member_id", "etag"}}
    answer = world.call(path_of(line, things), token, method="PATCH", headers={"If-Match": '"1"'}, json=patch)
    assert faults(answer).keys() == {f"#/{name}" for name in patch}
    assert state(world) == before


@pytest.mark.parametrize("body", ["[]", '"text"', "1", "null", "true", '[{"name": "x"}]'])
def test_a_patch_of_the_whole_is_refused(world: World, token: str, body: str) -> None:
    [fund_id] = world.add_funds("Bluegum Super Fund")
    answer = world.call(
        f"/funds/{fund_id}", token, method="PATCH", headers={"If-Match": '"1"'}, data=body, content_type="application/json"
    )
    assert faults(answer) == {"#": "must be an object"}


@pytest.mark.parametrize("line", CHANGING, ids=lambda line: line.name)
def test_a_change_says_which_state_it_changes(world: World, token: str, line: Endpoint) -> None:
    things = add_things(world)
    before = state(world)
    for sent, status in (
        (None, 428), ("*", 428), ('"2"', 412), ('W/"1"', 412), ('""', 412), ('"99999999999999999999"', 412), ('"01"', 412), ('"1 "', 400),
        ('"' + "1" * 5000 + '"', 412), ('"2", W/"1" ,, "3"', 412), ("1", 400), ("", 400), (",,;", 400), ('"1', 400), ('"1",*', 400),
        ('"1" "2"', 400), ('w/"1"', 400), ('"١"'.encode().decode("latin-1"), 400),
    ):  # fmt: skip
        headers = {} if sent is None else {"If-Match": sent}
        answer = world.call(path_of(line, things), token, method="PATCH", headers=headers, json=BODIES[line.name])
        assert answer.status_code == status, headers
        assert status != 400 or answer.json["type"].endswith("/bad-if-match")
        assert answer.content_type == "application/problem+json"
    assert state(world) == before
    listed = {"If-Match": ',"7",, "1" ,'}
    assert [
        world.call(path_of(line, things), token, method="PATCH", headers=listed, json=BODIES[line.name]).status_code
        for _ in range(2)
    ] == [200, 412]


# strangers


@pytest.mark.parametrize("line", [line for line in TABLE if "<" in line.path], ids=lambda line: line.name)
def test_what_belongs_to_another_business_is_as_unknown_as_what_never_was(world: World, line: Endpoint) -> None:
    token = world.grant("funds.write funds.create").token
    other = world.add_business(name="Birch & Co")
    theirs = add_things(world, other)
    mine = add_things(world)
    before = state(world, other)
    wrong = (*theirs.ids.values(), db.new_id(), "x" * 64, "x" * 65, "a%20b", "%00", "é", "*", "-")
    answers = [send(world, line, token, Things(dict.fromkeys(theirs.ids, object_id))) for object_id in wrong]
    assert {answer.status_code for answer in answers} == {404}
    assert len({json.dumps({**answer.json, "instance": ""}) for answer in answers}) == 1
    assert len({str({**answer.headers, "X-Request-Id": "", "RateLimit": ""}) for answer in answers}) == 1
    assert state(world, other) == before
    assert send(world, line, token, mine).status_code == line.status


@pytest.mark.parametrize("line", WRITING, ids=lambda line: line.name)
def test_a_call_that_is_refused_at_the_door_stores_nothing(world: World, line: Endpoint) -> None:
    things = add_things(world)
    before = state(world)
    assert send(world, line, None, things).status_code == 401
    assert send(world, line, "cpat_unknown", things).status_code == 401
    assert send(world, line, world.grant("funds.read").token, things).status_code == 403
    assert send(world, line, world.grant("funds.write funds.create", role="fund_auditor").token, things).status_code == 403
    assert state(world) == before


# tax file numbers


@pytest.mark.parametrize(
    "name", ["tfn", "TFN", "member_tfn", "tax_file_number", "TaxFileNumber", "tax-file-no", "tax file number"]
)
@pytest.mark.parametrize("line", WRITING, ids=lambda line: line.name)
def test_a_tax_file_number_is_refused_by_name_and_never_told(
    world: World, token: str, line: Endpoint, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    things = add_things(world)
    before = state(world)
    for body in ({**BODIES[line.name], name: "123456782"}, {**BODIES[line.name], "address": [{"x": {name: 123456782}}]}):
        answer = world.call(path_of(line, things), token, method=line.method, headers={"If-Match": '"1"'}, json=body)
        assert all(pointer.endswith(f"/{name}") for pointer in faults(answer))
        assert answer.json["type"].endswith("/tax-file-number-refused")
        assert "123456782" not in answer.text
    assert state(world) == before
    assert "123456782" not in str(capsys.readouterr())


def test_no_answer_tells_a_tax_file_number(world: World) -> None:
    """By the names in it: what stands behind them are words of people and random ids, which spell anything now and then."""
    token = world.grant("funds.write funds.create business.read").token
    for line in TABLE:
        answer = send(world, line, token, add_things(world))
        names = re.findall(r'"([^"]+)":', answer.text) if answer.is_json else []
        assert names or not answer.is_json, line.name
        assert [name for name in names if validation.is_tax_file_number(name)] == [], line.name


def test_nothing_that_is_stored_is_a_tax_file_number_by_its_name() -> None:
    names = [column.name for table in db.Base.metadata.tables.values() for column in table.columns]
    assert len(names) > 100 and [name for name in names if validation.is_tax_file_number(name)] == []
