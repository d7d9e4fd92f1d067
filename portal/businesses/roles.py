"""What each role may give away: the ceiling, in one table.

What a call may do is the scopes of its consent ∩ the ceiling of the person's role today, so a role change takes
effect on the next call.
"""

from __future__ import annotations

from dataclasses import dataclass

IDENTITY = frozenset({"openid", "profile", "offline_access"})
READ = IDENTITY | {"funds.summary", "funds.basic", "members.read", "funds.read", "business.read"}
EVERYTHING = READ | {"funds.write", "funds.create"}


@dataclass(frozen=True)
class Role:
    """A role in a business: its name on pages, the scopes it may give, and what it may manage."""

    key: str
    title: str
    ceiling: frozenset[str]
    manages_users: bool = False
    revokes_any: bool = False


ROLES = {
    role.key: role
    for role in (
        Role("access_controller", "Access Controller", EVERYTHING, manages_users=True, revokes_any=True),
        Role("fund_administrator", "Fund Administrator", EVERYTHING, revokes_any=True),
        Role("feeds_administrator", "Feeds Administrator", READ),
        Role("fund_tax_agent", "Fund Tax Agent", READ),
        Role("fund_auditor", "Fund Auditor", READ),
        Role("fund_adviser", "Fund Adviser", frozenset({"openid", "profile"})),
    )
}


def ceiling(role: str | None) -> frozenset[str]:
    """The scopes a role may give today; nothing for a role that is not known."""
    return ROLES[role].ceiling if role in ROLES else frozenset()


def title(role: str) -> str:
    return ROLES[role].title if role in ROLES else role


def may_manage_users(role: str | None) -> bool:
    return role in ROLES and ROLES[role].manages_users


def may_revoke_any(role: str | None) -> bool:
    return role in ROLES and ROLES[role].revokes_any
