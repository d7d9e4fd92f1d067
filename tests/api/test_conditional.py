from __future__ import annotations

import pytest

from portal.api.registry import TABLE, Endpoint
from tests.api.samples import add_things, path_of
from tests.api.world import World

READING = [line for line in TABLE if not line.writes and line.answer in {
    "FundPage", "Fund", "FullFund", "ReferenceData", "Members", "PensionAccounts", "MemberPage", "Member", "PensionAccountPage",
    "PensionAccount", "Business", "Users",
}]  # fmt: skip


@pytest.mark.parametrize("line", READING, ids=lambda line: line.name)
def test_who_has_the_answer_already_is_told_so(world: World, line: Endpoint) -> None:
    token, path = world.grant("funds.read business.read").token, path_of(line, add_things(world))
    first = world.call(path, token)
    tag = first.headers["ETag"]
    assert world.call(path, token).headers["ETag"] == tag
    for named in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = world.call(path, token, headers={"If-None-Match": named})
        assert answer.status_code == 304, named
        assert answer.data == b"" and "Content-Type" not in answer.headers
        assert answer.headers["ETag"] == tag and answer.headers["Cache-Control"] == "no-store"
    for named in ('"other"', "", ",", '""', tag.strip('"') + "x"):
        answer = world.call(path, token, headers={"If-None-Match": named})
        assert (answer.status_code, answer.data) == (200, first.data), named
    assert world.call(path, token, method="HEAD").headers["ETag"] == tag


def test_a_change_changes_the_tags_of_all_that_show_it(world: World) -> None:
    token, things = world.grant("funds.write").token, add_things(world)
    member = f"/members/{things.ids['member_id']}"
    showing = ("/members", member, f"/funds/{things.ids['fund_id']}/members", f"/funds/{things.ids['fund_id']}/full")
    before = [world.call(path, token).headers["ETag"] for path in showing]
    world.call(member, token, method="PATCH", headers={"If-Match": '"1"'}, json={"given_name": "Zara"})
    after = [world.call(path, token, headers={"If-None-Match": tag}) for path, tag in zip(showing, before, strict=True)]
    assert [answer.status_code for answer in after] == [200] * 4


def test_the_tag_never_stands_in_for_the_token(world: World) -> None:
    tag = world.call("/funds", world.grant("funds.summary").token).headers["ETag"]
    assert world.call("/funds", headers={"If-None-Match": tag}).status_code == 401
    assert world.call("/funds", world.grant("business.read").token, headers={"If-None-Match": "*"}).status_code == 403


def test_not_modified_counts_as_a_use(world: World) -> None:
    grant = world.grant("funds.summary")
    assert world.call("/funds", grant.token, headers={"If-None-Match": "*"}).status_code == 304
    assert world.last_accessed(grant) is not None


def test_the_description_is_tagged_too(world: World) -> None:
    tag = world.call("/openapi.json").headers["ETag"]
    assert world.call("/openapi.json", headers={"If-None-Match": tag}).status_code == 304
