"""The cast: who signs in, the businesses they act for, and how many funds each business has."""

from __future__ import annotations

from dataclasses import dataclass

PASSWORD = "correct horse battery staple"
TOTP_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@dataclass(frozen=True, kw_only=True)
class Person:
    """A person of the demo. Without `can_sign_in` they are a colleague who only shows in lists."""

    email: str
    given_name: str
    family_name: str
    middle_name: str | None = None
    can_sign_in: bool = True
    mfa: bool = True
    about: str = ""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A membership: who, in which role, and whether they have accepted."""

    email: str
    role: str
    accepted: bool = True


@dataclass(frozen=True, kw_only=True)
class Company:
    """A business with its people; `code` tells apart those that share a name."""

    name: str
    code: str
    funds: int
    people: tuple[Place, ...]
    connect_policy: str = "members"


ALICE, BOB, CHARLIE = "alice@acme.example", "bob@acme.example", "charlie@birch.example"
PRIYA, DANA = "priya@practice.example", "dana@acme.example"
TOM, GRETA, WEI = "tom@practice.example", "greta@practice.example", "wei@practice.example"

PEOPLE = (
    Person(email=ALICE, given_name="Alice", middle_name="Maree", family_name="Hartigan", about="Access Controller of Acme Super Services"),
    Person(email=BOB, given_name="Bob", family_name="Kowalski", about="Fund Auditor of Acme: may only give reading"),
    Person(email=CHARLIE, given_name="Charlie", family_name="Birch", about="Access Controller of Birch & Co"),
    Person(email=PRIYA, given_name="Priya", middle_name="Lakshmi", family_name="Venkatesan", about="Fund Administrator in twelve businesses"),
    Person(email=DANA, given_name="Dana", family_name="O’Connor", mfa=False, about="Fund Administrator of Acme, sets up a second factor"),
    Person(email=TOM, given_name="Tom", family_name="Sinclair", can_sign_in=False),
    Person(email=GRETA, given_name="Greta", middle_name="Anne", family_name="Lindqvist", can_sign_in=False),
    Person(email=WEI, given_name="Wei", family_name="Zhang", can_sign_in=False),
    Person(email="erin@acme.example", given_name="Erin", family_name="Pascoe", can_sign_in=False),
    Person(email="sam@birch.example", given_name="Sam", family_name="Truscott", can_sign_in=False),
)  # fmt: skip

_PRIYA = Place(email=PRIYA, role="fund_administrator")
_TOM = Place(email=TOM, role="access_controller")
_GRETA = Place(email=GRETA, role="access_controller")

COMPANIES = (
    Company(
        name="Acme Super Services", code="ACME", funds=40,
        people=(
            Place(email=ALICE, role="access_controller"),
            Place(email=BOB, role="fund_auditor"),
            Place(email=DANA, role="fund_administrator"),
            Place(email="erin@acme.example", role="fund_tax_agent", accepted=False),
        ),
    ),
    Company(
        name="Birch & Co", code="BIRCH", funds=18,
        people=(
            Place(email=CHARLIE, role="access_controller"),
            Place(email="sam@birch.example", role="fund_adviser"),
        ),
    ),
    Company(
        name="Northside Practice Group", code="NORTHSIDE", funds=320,
        people=(_TOM, _GRETA, _PRIYA, Place(email=WEI, role="fund_auditor")),
    ),
    Company(name="Harbour Super Partners", code="HARBOUR-SYD", funds=64, people=(_TOM, _PRIYA)),
    Company(name="Harbour Super Partners", code="HARBOUR-PER", funds=27, people=(_GRETA, _PRIYA)),
    Company(
        name="Lockyer Trust Administration", code="LOCKYER", funds=33, people=(_GRETA, _PRIYA), connect_policy="access_controllers"
    ),
    Company(
        name="Fernhill Accounting", code="FERNHILL", funds=12,
        people=(_TOM, Place(email=PRIYA, role="fund_administrator", accepted=False)),
    ),
    Company(name="Bellbird Wealth", code="BELLBIRD", funds=22, people=(_TOM, _PRIYA)),
    Company(name="Copperfield Accountants", code="COPPER", funds=41, people=(_TOM, _PRIYA, Place(email=WEI, role="fund_tax_agent"))),
    Company(name="Dandenong Fund Services", code="DANDENONG", funds=9, people=(_GRETA, _PRIYA)),
    Company(name="Eyre Peninsula Super", code="EYRE", funds=15, people=(_GRETA, _PRIYA)),
    Company(name="Gumtree Financial", code="GUMTREE", funds=28, people=(_TOM, _PRIYA)),
    Company(name="Illawarra Retirement Advisory", code="ILLAWARRA", funds=19, people=(_GRETA, _PRIYA)),
    Company(name="Jacaranda Partners", code="JACARANDA", funds=1, people=(_TOM, _PRIYA)),
)  # fmt: skip
