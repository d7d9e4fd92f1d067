"""What a stranger learns about who has an account here: nothing, neither by the answer nor by the work it takes."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from argon2 import PasswordHasher, extract_parameters
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from portal import Portal
from tests.accounts.conftest import Stage
from tests.support.cast import Person
from tests.support.forms import submit
from tests.support.signin import Cast
from tests.support.statements import every_statement

NOBODY = Person("user-nobody", "Nobody", "Here", "nobody@acme.example")


def test_unknown_and_known_get_the_same_answer(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    stage.change_user(cast.bob, password_hash=None)  # invited, not here yet
    stage.change_user(cast.charlie, disabled_at=stage.clock.now())
    answers = [stage.password(browser, who, "not the password") for who in (cast.alice, NOBODY, cast.bob, cast.charlie)]
    answers.append(stage.password(browser, cast.charlie))  # right, and yet
    assert {(answer.status_code, _without_what_differs(answer)) for answer in answers} == {
        (400, _without_what_differs(answers[0]))
    }
    assert stage.events("user.sign_in_refused")[1].user_id is None
    assert NOBODY.email not in str(stage.events("user.sign_in_refused")[1].detail)


def _without_what_differs(answer: TestResponse) -> str:
    text = re.sub(r"[a-z]+@[a-z]+\.example", "E-MAIL", answer.text).replace(answer.headers["X-Request-Id"], "")
    return re.sub(r'name="csrf_token" value="[^"]+"', "", text)


def test_unknown_and_known_cost_the_same_work(app: Portal, cast: Cast, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted and not timed: the same hashing under the same parameters, and the same statements."""
    hashed: list[tuple[object, ...]] = []
    for name in ("verify", "hash"):
        monkeypatch.setattr(PasswordHasher, name, _noted(name, getattr(PasswordHasher, name), hashed))
    stage.change_user(cast.bob, password_hash=None)
    stage.change_user(cast.charlie, disabled_at=stage.clock.now())
    wrong = "not the password"
    work = {}
    stage.password(app.test_client(), cast.priya, wrong)  # so that the connections are there
    for case, who, password in (
        ("known", cast.alice, wrong), ("unknown", NOBODY, wrong), ("invited", cast.bob, wrong), ("disabled", cast.charlie, wrong),
        ("disabled with the right password", cast.charlie, cast.charlie.password),
    ):  # fmt: skip
        browser = app.test_client()
        page = browser.get("/login")
        hashed.clear()
        with every_statement(app) as sent:
            assert submit(browser, page, {"email": who.email, "password": password}, action="/login").status_code == 400
        work[case] = (list(hashed), list(sent))
    assert [kind for kind, _ in work["known"][0]] == ["verify"] and len(work["known"][1]) > 3
    assert dict.fromkeys(work, work["known"]) == work


def _noted(name: str, act: Callable[..., object], hashed: list[tuple[object, ...]]) -> Callable[..., object]:
    def noted(hasher: PasswordHasher, first: str, *rest: object) -> object:
        hashed.append((name, extract_parameters(first) if name == "verify" else None))
        return act(hasher, first, *rest)

    return noted
