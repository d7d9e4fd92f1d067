"""Schemathesis calls the API with real tokens in every way that its description allows, and in ways that it does not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture import providers
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.stateful.state_machine import StepInput, StepOutput
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from schemathesis.transport import SerializationContext

from portal import Portal
from portal.api.registry import TABLE
from portal.businesses import abn
from portal.funds.kinds import KINDS
from tests import conftest as shared
from tests.api.samples import add_things
from tests.api.world import World
from tests.conftest import Databases

CALLS_PER_MINUTE = 1_000_000
EVERYTHING = "openid profile funds.write funds.create business.read offline_access"
SOMETHING_TO_GET_WRONG = [line.name for line in TABLE if "<" in line.path or line.query or line.body]
RULES_BEYOND_A_SCHEMA = ("create_fund", "load_reference_data", "add_document")
"""Opening balances come to nothing in all and name accounts that are there; a content is of the kind it says."""


def bounded(examples: int, **more: Any) -> settings:
    """The same examples in every run (with `nothing_of_our_words`), and no more than can be waited for."""
    return settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck), **more,
    )  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def nothing_of_our_words() -> Iterator[None]:
    """Hypothesis would draw from the constants of all code of ours that happens to be imported: other examples in each worker,
    and after each change of any file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(providers, "_get_local_constants", providers.Constants)
        providers.CONSTANTS_CACHE.cache.clear()
        yield


@schemathesis.serializer(*KINDS)
def send_as_document(_context: SerializationContext, value: Any) -> Any:
    """What Schemathesis puts in the place of a document."""
    return {"data": value if isinstance(value, bytes | str) else json.dumps(value)}


@pytest.fixture(scope="module")
def world(database_kind: str, _databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folders = shared._folders(tmp_path_factory.mktemp("portal"))
    with (
        _databases(database_kind).copy("migrated", shared._migrate) as url,
        shared._application(shared._settings(url, api_calls_per_minute=CALLS_PER_MINUTE, **folders)) as app,
    ):
        yield World(app)


@pytest.fixture(scope="module")
def schema(world: World) -> BaseSchema:
    load_all_checks()
    schemathesis.openapi.format("abn", st.integers(10**10, 10**11 - 1).map(valid_abn).filter(bool))
    app: Portal = world.app
    return schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app, base_url=app.settings.issuer)


def valid_abn(number: int) -> str:
    """The number with the two first digits that make it valid, if there are any."""
    candidates = (f"{start}{number % 10**9:09}" for start in range(10, 100))
    return next((text for text in candidates if abn.is_valid(text)), "")


@pytest.fixture(scope="module")
def headers(world: World) -> dict[str, str]:
    add_things(world)
    return {"Authorization": f"Bearer {world.grant(EVERYTHING).token}", "Host": world.app.settings.host}


@pytest.fixture
def begin_again(world: World, headers: dict[str, str], database_kind: str, _databases: Databases) -> Callable[[], None]:
    """Puts the database back to where it began: what calls lead on to must not hang on what earlier examples left behind."""

    def begin() -> None:
        _databases(database_kind).restore(world.app.settings.database_url, "migrated")
        world.add_business(world.business_id)
        add_things(world)
        headers["Authorization"] = f"Bearer {world.grant(EVERYTHING).token}"

    return begin


def validate(case: schemathesis.Case, response: Any, headers: dict[str, str]) -> None:
    """All that Schemathesis checks. What is right by the schema may still be refused where no schema can say all: a cursor
    that nobody handed out, a tag of no state, books that do not balance. What it made wrong may be too much at once, or come
    out right: null for a date that need not be there."""
    name = case.operation.definition.raw["operationId"]
    unchecked = []
    if "cursor" in (case.query or {}) or response.status_code == 412 or name in RULES_BEYOND_A_SCHEMA:
        unchecked.append(positive_data_acceptance)
    if response.status_code == 413 or is_only_called_wrong(case):
        unchecked.append(negative_data_rejection)
    case.validate_response(response, headers=headers, excluded_checks=unchecked)


def is_only_called_wrong(case: schemathesis.Case) -> bool:
    """Whether nothing but the body is said to be wrong, and the body is right by the description."""
    wrong = [place for place, part in case.meta.components.items() if part.mode.is_negative] if case.meta else []
    if wrong != [ParameterLocation.BODY] or case.media_type != "application/json":
        return False
    described = case.operation.definition.raw["requestBody"]["content"][case.media_type]["schema"]
    whole = {**described, "components": case.operation.schema.raw_schema["components"]}
    return Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER).is_valid(case.body)


def test_the_description_is_valid(schema: BaseSchema) -> None:
    schema.validate()


@pytest.mark.parametrize("name", [line.name for line in TABLE])
def test_each_call_answers_as_described(schema: BaseSchema, headers: dict[str, str], name: str) -> None:
    operation = schema.find_operation_by_id(name)

    @bounded(20)
    @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    def call(case: schemathesis.Case) -> None:
        validate(case, case.call(headers=headers), headers)

    call()


@pytest.mark.parametrize("name", SOMETHING_TO_GET_WRONG)
def test_each_call_refuses_what_is_not_described(schema: BaseSchema, headers: dict[str, str], name: str) -> None:
    operation = schema.find_operation_by_id(name)

    @bounded(20)
    @given(case=operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def call(case: schemathesis.Case) -> None:
        validate(case, case.call(headers=headers), headers)

    call()


def test_calls_lead_on_to_each_other(schema: BaseSchema, headers: dict[str, str], begin_again: Callable[[], None]) -> None:
    done: set[str] = set()
    followed: set[str] = set()

    class Partner(schema.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            begin_again()

        def get_call_kwargs(self, case: schemathesis.Case) -> dict[str, Any]:
            return {"headers": headers}

        def step(self, input: StepInput) -> StepOutput:
            output: StepOutput = super().step(input)
            if output.response.status_code < 300 and input.transition is not None and input.is_applied:
                followed.add(input.transition.id)
            return output

        def after_call(self, response: Any, case: schemathesis.Case) -> None:
            """In place of Schemathesis's own, which keeps each answer for later chains: they would not be the same in every run."""
            if response.status_code < 300:
                done.add(case.operation.definition.raw["operationId"])

        def validate_response(self, response: Any, case: schemathesis.Case, *args: Any, **kwargs: Any) -> None:
            validate(case, response, headers)

    Partner.run(settings=bounded(30, stateful_step_count=8))
    assert done & {"get_full_fund", "get_fund", "get_member", "get_pension_account"}
    assert done & {"change_fund", "change_member", "change_pension_account"}
    led_from = {link.partition(" then_")[0] for link in followed if " then_" in link}  # others Schemathesis has guessed
    assert len(led_from) > 1  # test_openapi follows each
