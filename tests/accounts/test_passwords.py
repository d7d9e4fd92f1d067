from __future__ import annotations

import threading
import unicodedata
from dataclasses import replace
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask.testing import FlaskClient

from portal.accounts import passwords
from portal.accounts.passwords import Passwords
from portal.config import Settings
from portal.errors import Unavailable
from tests.accounts.conftest import Stage
from tests.support.race import at_once
from tests.support.signin import Cast

SETTINGS = Settings(mode="test")


def test_production_hashes_by_argon2id_as_hard_as_owasp_wants() -> None:
    kind, version, cost = Passwords(replace(SETTINGS, mode="production")).hash("a wombat in the pantry").split("$")[1:4]
    assert (kind, version) == ("argon2id", "v=19")
    memory, rounds, lanes = (int(part.partition("=")[2]) for part in cost.split(","))
    assert memory >= 19456 and rounds >= 2 and lanes >= 1


def test_a_hash_is_verified_and_nothing_else_is() -> None:
    hasher = Passwords(SETTINGS)
    stored = hasher.hash("a wombat in the pantry")
    assert hasher.verify(stored, "a wombat in the pantry")
    assert not hasher.verify(stored, "a wombat in the kitchen")
    assert not hasher.verify(None, "the password of nobody")
    assert not hasher.verify("not a hash", "a wombat in the pantry")


def test_an_old_hash_is_renewed_at_sign_in(browser: FlaskClient, cast: Cast, stage: Stage) -> None:
    old = PasswordHasher(time_cost=2, memory_cost=128, parallelism=1).hash(cast.dana.password)
    stage.change_user(cast.dana, password_hash=old)
    assert stage.password(browser, cast.dana, "wrong").status_code == 400
    assert stage.user(cast.dana).password_hash == old
    assert stage.password(browser, cast.dana).status_code == 303
    renewed = stage.user(cast.dana).password_hash or ""
    assert "m=64,t=1" in renewed
    assert stage.password(browser.application.test_client(), cast.dana).status_code == 303


def test_only_a_few_hash_at_once_and_the_rest_are_told_while_they_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "PATIENCE_SECONDS", 30)
    hasher = Passwords(SETTINGS)
    running, most, refusals, lock = 0, 0, 0, threading.Lock()
    all_told = threading.Event()
    beyond = 12 - passwords.AT_ONCE - passwords.WAITING

    def attempt(_number: int) -> str | None:
        nonlocal running, most, refusals
        try:
            with hasher.turn():
                with lock:
                    running += 1
                    most = max(most, running)
                assert all_told.wait(30), "who is beyond the line waits for it"
                with lock:
                    running -= 1
        except Unavailable as refused:
            with lock:
                refusals += 1
                if refusals == beyond:
                    all_told.set()
            return refused.headers["Retry-After"]
        return None

    answers = at_once(12, attempt)
    assert most == passwords.AT_ONCE
    assert sorted(filter(None, answers)) == ["1"] * beyond


def test_a_turn_is_given_back_when_something_goes_wrong() -> None:
    hasher = Passwords(SETTINGS)
    for _ in range(10):
        with pytest.raises(ZeroDivisionError), hasher.turn():
            raise ZeroDivisionError
    assert hasher.verify(hasher.hash("a wombat in the pantry"), "a wombat in the pantry")


def test_a_full_line_keeps_the_form_and_counts_nothing(
    browser: FlaskClient, cast: Cast, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasher = stage.app.extensions["portal-passwords"]
    for _ in range(passwords.AT_ONCE + passwords.WAITING):
        hasher._line.acquire()
    for _ in range(12):
        answer = stage.password(browser, cast.dana)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert "try again in a moment" in answer.text and cast.dana.email in answer.text
    for _ in range(passwords.AT_ONCE + passwords.WAITING):
        hasher._line.release()
    assert stage.password(browser, cast.dana).status_code == 303


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "a wombat in the pantry",
        "Tr0ub4dor&3 and more",
        "superannuation is my passion",
        "1 2 3 testing koala",
    ],
)
def test_a_good_password_may_be_chosen(password: str) -> None:
    assert passwords.find_fault(password, email="alice@acme.example") is None


MARKS = "\u0301\u0316" * 100_000
"""Unicode sorts combining marks pair by pair: so many of them take a minute, in which no other thread of the worker runs."""


@pytest.fixture
def normalised(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How long each text was that Unicode's composed form was asked of; what is long is left as it is."""
    lengths: list[int] = []

    def measured(form: Any, text: str) -> str:
        lengths.append(len(text))
        return text if len(text) > 1000 else normalize(form, text)

    normalize = unicodedata.normalize
    monkeypatch.setattr(unicodedata, "normalize", measured)
    return lengths


def test_a_form_full_of_combining_marks_costs_no_more_than_a_wrong_password(
    browser: FlaskClient, cast: Cast, stage: Stage, normalised: list[int]
) -> None:
    answer = stage.password(browser, cast.dana, "a" + MARKS[:80_000])
    assert answer.status_code == 400
    assert normalised and max(normalised) <= passwords.MAX_LENGTH + 1


def test_a_new_password_is_measured_before_it_is_composed(normalised: list[int]) -> None:
    assert passwords.find_fault("a" + MARKS, email="alice@acme.example") == "Use at most 200 characters."
    assert max(normalised, default=0) <= passwords.MAX_LENGTH


def test_the_longest_password_works_and_a_longer_one_does_not() -> None:
    hasher = Passwords(SETTINGS)
    longest = ("a wombat in the pantry, " * 9)[: passwords.MAX_LENGTH]
    stored = hasher.hash(longest)
    assert hasher.verify(stored, longest)
    assert not hasher.verify(stored, longest + "x") and not hasher.verify(stored, longest[:-1])
