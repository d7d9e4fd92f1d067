"""The scope catalogue: one source of truth for what can be asked for, in what words, and what contains what.

The order and the titles are fixed; the same words stand on the consent page, in the access table, in e-mails and
in the metadata.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

OFFLINE_ACCESS = "offline_access"


@dataclass(frozen=True)
class Scope:
    """One line of the catalogue. `group` is identity, read, write or offline."""

    name: str
    title: str
    description: str
    group: str
    contains: tuple[str, ...] = ()


CATALOGUE = {
    scope.name: scope
    for scope in (
        Scope(
            "openid",
            "Know your identity",
            "An ID token that identifies you: a fixed identifier, your confirmed email address, and how you signed in. "
            "Used for single sign-on.",
            "identity",
        ),
        Scope(
            "profile",
            "Read your basic information",
            "Your first and last name, email, recorded address, and your role in the business.",
            "identity",
        ),
        Scope(
            "funds.summary",
            "Read summary fund information",
            "The list of the business’s funds: name, status, tags, latest period update, legal entity type and ABN.",
            "read",
        ),
        Scope(
            "funds.basic",
            "Read basic fund information",
            "One fund at a time: name, status, tags, latest period update, legal entity type and ABN, "
            "plus the fund’s address details.",
            "read",
        ),
        Scope(
            "members.read",
            "Read member information",
            "The list of members, and the list of pension accounts.",
            "read",
        ),
        Scope(
            "funds.read",
            "Read all fund information",
            "All fund-level data you have access to: fund, member and pension information, and the documents list.",
            "read",
            ("funds.summary", "funds.basic", "members.read"),
        ),
        Scope(
            "funds.write",
            "Read and modify all fund information",
            "All fund-level data you have access to, and to change it: load documents to the fund’s DMS, "
            "update fund details, members and pension accounts.",
            "write",
            ("funds.read", "funds.summary", "funds.basic", "members.read"),
        ),
        Scope(
            "business.read",
            "Read basic business information",
            "The users of the business: first, middle and last name, email, role, scopes granted and invitation status.",
            "read",
        ),
        Scope(
            "funds.create",
            "Create new funds",
            "Create a fund in the business, including loading its reference data.",
            "write",
        ),
        Scope(
            OFFLINE_ACCESS,
            "Access your data while you are not logged into Class",
            "Refresh the data you allowed above later, without you being signed in.",
            "offline",
        ),
    )
}


def title(name: str, *, brand: str) -> str:
    """The title people see; the brand stands in it where the portal carries another name."""
    return CATALOGUE[name].title.replace("Class", brand)


def in_order(scopes: Iterable[str]) -> list[str]:
    """Known scopes once each, in catalogue order."""
    wanted = set(scopes)
    return [name for name in CATALOGUE if name in wanted]


def unknown(scopes: Iterable[str]) -> list[str]:
    return [name for name in scopes if name not in CATALOGUE]


def opened_by(scopes: Iterable[str]) -> frozenset[str]:
    """The scopes and all that they contain: what a call may be checked against."""
    opened: set[str] = set()
    for name in scopes:
        if name in CATALOGUE:
            opened.add(name)
            opened.update(CATALOGUE[name].contains)
    return frozenset(opened)


@dataclass(frozen=True)
class Effective:
    """What a call may do. `opened` is for checks and holds all that is contained; `names` is for telling, in order."""

    opened: frozenset[str]
    names: tuple[str, ...]

    @cached_property
    def scope(self) -> str:
        return " ".join(self.names)

    @cached_property
    def opened_scope(self) -> str:
        """Everything that is opened, contained scopes too, in catalogue order."""
        return " ".join(in_order(self.opened))


@lru_cache(maxsize=8192)
def effective(token_scope: str, consent_scope: str, ceiling: frozenset[str]) -> Effective:
    """Scopes of the token ∩ scopes of the consent today ∩ the ceiling of the role today, containment counted.

    A token for a broad scope goes on for those of its parts that are still allowed. Told are the names that the
    token or the consent holds, and the broadest of what is left when neither does.
    """
    token, consent = token_scope.split(), consent_scope.split()
    opened = opened_by(token) & opened_by(consent) & ceiling
    inner = {part for name in opened for part in CATALOGUE[name].contains}
    told = [name for name in in_order(opened) if name in token or name in consent or name not in inner]
    return Effective(opened, tuple(told))
