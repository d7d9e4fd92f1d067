from __future__ import annotations

import pytest

from portal.errors import problem_type
from tests.api.world import World

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"]
NOWHERE = [
    "/api", "/api/", "/api/v1", "/api/v1/", "/api/v1/founds", "/api/v2/funds", "/api/v1/funds/", "/api/v1//funds", "/api/v1/funds//",
    "/api/v1/funds//members", "/api/v1/openapi.json/", "/api/v1/%20", "/api/v1/funds%00",
]  # fmt: skip


@pytest.mark.parametrize("path", NOWHERE)
def test_an_address_that_is_none_is_a_problem_for_every_method(world: World, path: str) -> None:
    partner = world.app.test_client(use_cookies=False)
    bearer = {"Authorization": f"Bearer {world.grant('funds.write').token}"}
    for method in METHODS:
        answer = partner.open(path, method=method, headers=bearer, base_url=world.app.settings.issuer)
        assert (answer.status_code, answer.content_type) == (404, "application/problem+json"), method
        assert answer.headers["Cache-Control"] == "no-store"
        if method != "HEAD":
            assert answer.json["type"] == problem_type(world.app.settings.issuer, "not-found")


@pytest.mark.parametrize(("path", "known"), [("/funds", "GET"), ("/openapi.json", "GET")])
@pytest.mark.parametrize("method", ["DELETE", "PATCH", "TRACE", "BREW"])
def test_a_method_that_is_none_is_a_problem_that_names_those_there_are(world: World, path: str, known: str, method: str) -> None:
    answer = world.call(path, method=method)
    assert (answer.status_code, answer.content_type) == (405, "application/problem+json")
    assert {known, "HEAD", "OPTIONS"} <= set(answer.headers["Allow"].split(", "))
    assert method not in answer.headers["Allow"]
    assert "Allow" in answer.json["detail"] and "button" not in answer.json["detail"]


@pytest.mark.parametrize(
    "accept", ["application/xml", "text/html", "image/*;q=0.1", "*/*;q=0", "application/json;q=0", "nonsense", ""]
)
def test_json_is_sent_whatever_is_accepted(world: World, accept: str) -> None:
    answer = world.call("/funds", world.grant("funds.summary").token, headers={"Accept": accept})
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    refused = world.call("/funds", headers={"Accept": accept})
    assert (refused.status_code, refused.content_type) == (401, "application/problem+json")


def test_a_fragment_of_the_api_is_still_a_problem(world: World) -> None:
    answer = world.call("/founds", headers={"HX-Request": "true"})
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("path", ["/founds", "/funds?limit=0", "/funds/none"])
def test_no_problem_speaks_of_pages_or_buttons(world: World, path: str) -> None:
    detail = world.call(path, world.grant("funds.basic").token).json["detail"]
    assert not {"page", "button", "back"} & set(detail.lower().split())
