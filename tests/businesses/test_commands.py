from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal import Portal
from portal.businesses.models import Business, Membership
from tests.support.signin import Cast

Transaction = Callable[[], AbstractContextManager[Session]]


def run(app: Portal, *words: str) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=list(words))
    return result.exit_code, result.output


def test_a_business_is_added_and_listed(app: Portal, cast: Cast, transaction: Transaction) -> None:
    code, said = run(app, "businesses", "add", "--name", "Wombat Super", "--abn", "53 004 085 616", "--code", "WOMBAT")
    assert code == 0 and "Added Wombat Super, ABN 53 004 085 616, code WOMBAT" in said
    with transaction() as session:
        assert session.scalars(select(Business).where(Business.code == "WOMBAT")).one().abn == "53004085616"
    assert "WOMBAT\tWombat Super" in run(app, "businesses", "list")[1]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--name", "X", "--abn", "53004085617", "--code", "X"), "not an ABN"),
        (("--name", "X", "--abn", "53004085616", "--code", "ACME"), "already"),
        (("--name", " ", "--abn", "53004085616", "--code", "X"), "1 to 200"),
        (("--name", "X", "--abn", "53004085616", "--code", "X" * 33), "1 to 32"),
    ],
)
def test_what_cannot_be_added_is_said_in_one_line(app: Portal, cast: Cast, options: tuple[str, ...], why: str) -> None:
    code, said = run(app, "businesses", "add", *options)
    assert code != 0 and why in said and "Traceback" not in said and len(said.strip().splitlines()) == 1


def test_a_person_is_invited_or_added_and_comes_back(app: Portal, cast: Cast, transaction: Transaction) -> None:
    erin = cast.add_user()
    code, said = run(app, "members", "add", erin.email.upper(), "acme", "fund_auditor")
    assert code == 0 and "Invited" in said
    assert "invited" in run(app, "members", "list", "ACME")[1]
    code, said = run(app, "members", "add", erin.email, "ACME", "fund_adviser", "--accepted")
    assert code != 0 and "already" in said
    with transaction() as session:
        member = session.scalars(select(Membership).where(Membership.user_id == erin.id)).one()
        member.ended_at = member.invited_at
    code, said = run(app, "members", "add", erin.email, "ACME", "fund_adviser", "--accepted")
    assert code == 0 and "Added" in said
    with transaction() as session:
        assert session.scalars(select(Membership).where(Membership.user_id == erin.id)).one().is_active


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("nobody@x.example", "ACME", "fund_auditor"), "Nobody has the email"),
        (("bob@acme.example", "NOWHERE", "fund_auditor"), "no business"),
        (("bob@acme.example", "BIRCH", "owner"), "owner"),
    ],
)
def test_who_cannot_be_added_is_said(app: Portal, cast: Cast, words: tuple[str, ...], why: str) -> None:
    code, said = run(app, "members", "add", *words)
    assert code != 0 and why in said and "Traceback" not in said


@pytest.mark.parametrize("words", [("businesses", "add"), ("businesses", "list"), ("members", "add"), ("members", "list")])
def test_each_command_explains_itself(app: Portal, words: tuple[str, ...]) -> None:
    code, said = run(app, *words, "--help")
    assert code == 0 and "Usage:" in said
