"""The funds of the demo, with their members and pension accounts, as rows to insert."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from portal.demo import words
from portal.demo.chance import Chance
from portal.demo.people import Company
from portal.funds.models import FUND_STATUSES, PENSION_KINDS

Rows = list[dict[str, Any]]
STATUS_WEIGHTS = (88, 5, 7)
ENTITY_WEIGHTS = (70, 24, 6)
MEMBER_WEIGHTS = (22, 58, 9, 11)
"""How many of a hundred funds have one, two, three and four members."""
PENSION_AGE_YEARS = 65
WITHOUT_BOOKS_EVERY = 4
"""Of how many funds one has no reference data yet."""


@dataclass
class Portfolio:
    """Rows of the four tables, parents first."""

    funds: Rows = field(default_factory=list)
    members: Rows = field(default_factory=list)
    pension_accounts: Rows = field(default_factory=list)
    reference_data: Rows = field(default_factory=list)


def add_funds(portfolio: Portfolio, company: Company, business_id: str, chance: Chance, *, now: datetime) -> None:
    """Add the funds of one business, no name or code twice."""
    names: set[str] = set()
    while len(names) < company.funds:
        surname = chance.random.choice(words.SURNAMES)
        name = _fund_name(surname, chance)
        if name not in names:
            names.add(name)
            fund = _fund(business_id, name, f"{_letters(name)}{len(names):03}", chance, now)
            portfolio.funds.append(fund)
            before = len(portfolio.members)
            _add_members(portfolio, fund, surname, chance, now.date())
            if len(names) % WITHOUT_BOOKS_EVERY:
                portfolio.reference_data.append(_books(fund, portfolio.members[before:], now))


def _fund_name(surname: str, chance: Chance) -> str:
    return chance.random.choice(words.FUND_FORMS).format(
        surname=surname,
        other=chance.random.choice(words.SURNAMES),
        given=chance.random.choice(words.GIVEN_NAMES),
        place=chance.random.choice(words.PLACES),
    )


def _letters(name: str) -> str:
    """The first four letters of a name's first word that tells, in capitals."""
    return "".join(letter for letter in name.removeprefix("The ") if letter.isalpha())[:4].upper()


def _fund(business_id: str, name: str, code: str, chance: Chance, now: datetime) -> dict[str, Any]:
    status = chance.random.choices(FUND_STATUSES, STATUS_WEIGHTS)[0]
    oldest = {"active": 100, "winding_up": 300, "closed": 900}[status]
    updated = now.date() - timedelta(days=chance.random.randint(oldest // 3, oldest))
    return {
        "id": chance.new_id(),
        "business_id": business_id,
        "name": name,
        "code": code,
        "status": status,
        "tags": sorted(chance.random.sample(words.TAGS, chance.random.choice((0, 0, 1, 1, 2, 3)))),
        "legal_entity_type": chance.random.choices(words.LEGAL_ENTITY_TYPES, ENTITY_WEIGHTS)[0],
        "abn": chance.abn(),
        "latest_period_update": None if chance.random.random() < 0.03 else updated.replace(day=1) - timedelta(days=1),
        "address": chance.address(),
        "version": 1,
        "created_at": now - timedelta(days=400),
        "updated_at": now - timedelta(days=chance.random.randint(1, 60)),
    }


def _add_members(portfolio: Portfolio, fund: dict[str, Any], surname: str, chance: Chance, today: date) -> None:
    for _ in range(chance.random.choices((1, 2, 3, 4), MEMBER_WEIGHTS)[0]):
        born = chance.day(date(today.year - 84, 1, 1), date(today.year - 24, 12, 31))
        in_pension = today.year - born.year > PENSION_AGE_YEARS and chance.random.random() < 0.8
        member = {
            "id": chance.new_id(),
            "fund_id": fund["id"],
            "business_id": fund["business_id"],
            "given_name": chance.random.choice(words.GIVEN_NAMES),
            "family_name": surname if chance.random.random() < 0.85 else chance.random.choice(words.SURNAMES),
            "date_of_birth": born,
            "joined_on": chance.day(date(max(born.year + 20, 1994), 7, 1), date(today.year - 1, 6, 30)),
            "phase": "pension" if in_pension else "accumulation",
            "balance": chance.amount(9_000, 1_900_000),
            "version": 1,
        }
        portfolio.members.append(member)
        if in_pension:
            _add_pension(portfolio, member, chance, today)


def _add_pension(portfolio: Portfolio, member: dict[str, Any], chance: Chance, today: date) -> None:
    first = max(member["joined_on"], member["date_of_birth"].replace(day=1) + timedelta(days=365 * 60))
    portfolio.pension_accounts.append(
        {
            "id": chance.new_id(),
            "member_id": member["id"],
            "business_id": member["business_id"],
            "kind": chance.random.choices(PENSION_KINDS, (85, 10, 5))[0],
            "started_on": chance.day(first, max(first, today - timedelta(days=30))),
            "balance": member["balance"],
            "version": 1,
        }
    )


def _books(fund: dict[str, Any], members: Rows, now: datetime) -> dict[str, Any]:
    """Reference data that balances: what the members have is in cash and in two kinds of shares."""
    total = sum((member["balance"] for member in members), Decimal(0))
    cash, listed = ((total * part).quantize(Decimal("0.01")) for part in (Decimal("0.18"), Decimal("0.47")))
    balances = (("604", None, cash), ("776", words.INVESTMENTS[0], listed), ("776", words.INVESTMENTS[1], total - cash - listed))
    return {
        "fund_id": fund["id"],
        "as_at": date(now.year - 1, 7, 1),
        "chart_of_accounts": [{"code": code, "name": name, "type": kind} for code, name, kind in words.ACCOUNTS],
        "investment_codes": [{"code": code, "name": name} for code, name in words.INVESTMENTS],
        "opening_balances": [
            *(
                {"account_code": code, "amount": f"{amount:.2f}"} | ({"investment_code": of[0]} if of else {})
                for code, of, amount in balances
            ),
            {"account_code": "501", "amount": f"{-total:.2f}"},
        ],
        "version": 1,
        "loaded_at": now - timedelta(days=300),
    }
