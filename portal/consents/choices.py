"""Which businesses a person may connect an application to, and why not to the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from portal.businesses import abn, roles
from portal.businesses.models import Membership
from portal.clients.models import Client
from portal.consents import catalogue, decisions


@dataclass(frozen=True)
class Choice:
    """One business as the page offers it; it can be chosen when `reason` is empty."""

    member: Membership
    is_connected: bool
    has_namesake: bool
    reason: str

    @property
    def id(self) -> str:
        return self.member.business_id

    @property
    def is_invited(self) -> bool:
        return self.member.accepted_at is None


def reason_against(member: Membership, client: Client, asked: Iterable[str], *, brand: str) -> str:
    """Why this person cannot connect this application to this business, and what to do; "" when they can."""
    if not member.is_active:
        return "You have not accepted the invitation to this business yet."
    if not may_connect(member):
        return "Only Access Controllers connect applications here. Ask one of them to connect it, or to let every user connect."
    missing = decisions.beyond_role(client, asked, member.role)
    if missing:
        titles = " and ".join(f"“{catalogue.title(name, brand=brand)}”" for name in missing)
        return (
            f"{client.client_name} needs {titles}, which your role, {roles.title(member.role)}, cannot give. "
            "Ask an Access Controller of the business."
        )
    return ""


def may_connect(member: Membership) -> bool:
    """Whether the business lets this member connect applications at all."""
    open_to_all = member.business.connect_policy == "members"
    return member.is_active and (open_to_all or roles.may_manage_users(member.role))


def choices(
    members: Iterable[Membership], client: Client, asked: Iterable[str], *, connected: Iterable[str], brand: str
) -> list[Choice]:
    """Every business of the person, those that can be chosen first, each with whether the application is connected already."""
    everyone, wanted, having = list(members), list(asked), set(connected)
    names = Counter(member.business.name.casefold() for member in everyone)
    found = [
        Choice(
            member=member,
            is_connected=member.business_id in having,
            has_namesake=names[member.business.name.casefold()] > 1,
            reason=reason_against(member, client, wanted, brand=brand),
        )
        for member in everyone
    ]
    return sorted(found, key=lambda choice: choice.reason != "")


def matches(member: Membership, words: str) -> bool:
    """Whether a business's name, code or ABN holds the words; an ABN is found with and without its spaces."""
    business, text = member.business, words.casefold()
    digits = abn.normalise(words)
    by_abn = digits.isdigit() and digits in business.abn
    return text in business.name.casefold() or text in business.code.casefold() or by_abn
