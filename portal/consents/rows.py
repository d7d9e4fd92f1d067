"""What a row of the access table holds: an application, and each person's part of it, as one viewer may see and end them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import Row

from portal.businesses import roles
from portal.consents import catalogue, ending
from portal.consents.standing import ACTIVE, ENDED

SOON = timedelta(days=30)


@dataclass(frozen=True)
class Viewer:
    """Who looks at the table: the person, their role in this business, and for how long they are offered Undo."""

    user_id: str
    role: str
    now: datetime
    window: timedelta

    @property
    def may_revoke_any(self) -> bool:
        return ending.may_revoke_any(self.role)

    def seconds_to_undo(self, ended_at: datetime) -> int:
        """For how many seconds more Undo is offered for what ended then."""
        return max(0, math.ceil((ended_at + self.window - self.now).total_seconds()))


@dataclass(frozen=True)
class Part:
    """What one person allowed one application."""

    consent_id: str
    user_id: str
    name: str
    email: str
    role: str
    scopes: tuple[str, ...]
    """What it opens today; for an ended one, what was allowed."""
    allowed: tuple[str, ...]
    """What was allowed, be it within the person's role of today or not."""
    is_offline: bool
    granted_at: datetime
    expires_at: datetime
    last_accessed_at: datetime | None
    state: str
    ended_at: datetime | None
    ended_by: str | None
    is_own: bool
    may_revoke: bool
    may_undo: bool
    expires_soon: bool

    @property
    def is_active(self) -> bool:
        return self.state == ACTIVE

    @property
    def is_ended(self) -> bool:
        return self.state in ENDED


@dataclass(frozen=True)
class Application:
    """One row: an application of this business with the people whose access it has. `parts` holds the first of them.

    People are counted while their part stands, or all of them once nothing of the row does; `ended_count` holds the others,
    whose part has ended so lately that it is still listed.
    """

    client_id: str
    client_name: str
    publisher: str
    logo: str | None
    client_uri: str | None
    policy_uri: str | None
    scopes: tuple[str, ...]
    granted_at: datetime
    expires_at: datetime
    expires_soon: bool
    last_accessed_at: datetime | None
    state: str
    is_offline: bool
    people_count: int
    active_count: int
    ended_count: int
    own_count: int
    revocable_count: int
    undoable_count: int
    ended_at: datetime | None
    revokes_any: bool
    parts: tuple[Part, ...] = field(default=())

    @cached_property
    def granted_by(self) -> Part:
        return self.parts[0]

    @property
    def others(self) -> int:
        return self.people_count - 1

    @property
    def hidden_count(self) -> int:
        return self.people_count + self.ended_count - len(self.parts)

    @property
    def may_revoke(self) -> bool:
        return self.revocable_count > 0

    @property
    def is_active(self) -> bool:
        return self.state == ACTIVE

    @property
    def is_over(self) -> bool:
        """Whether nothing of it stands any more."""
        return self.state in ENDED

    @property
    def may_undo(self) -> bool:
        """Whether the viewer ended the whole row just now."""
        return self.is_over and self.undoable_count > 0

    @property
    def revokes_only_own(self) -> bool:
        return not self.revokes_any


@dataclass(frozen=True)
class EndedPart:
    """What has ended: a person's part, of which application."""

    part: Part
    client_id: str
    client_name: str
    publisher: str
    logo: str | None


def chips(scopes: Iterable[str]) -> list[str]:
    """The scopes to name first: without what a broader one contains, and what changes data before what reads it."""
    given = set(scopes) - {catalogue.OFFLINE_ACCESS}
    contained = {part for name in given for part in catalogue.CATALOGUE[name].contains}
    rank = {"write": 0, "read": 1, "identity": 2, "offline": 3}
    return sorted(catalogue.in_order(given - contained), key=lambda name: rank[catalogue.CATALOGUE[name].group])


def _opens(scope: str, role: str | None) -> tuple[str, ...]:
    """What a consent opens today, under the person's role of today."""
    return catalogue.effective(scope, scope, roles.ceiling(role)).names


def _is_offline(row: Row[Any]) -> bool:
    """Whether it opens anything while the person is signed out; what was given for a session ends with it."""
    return catalogue.OFFLINE_ACCESS in row.scope.split() and not row.is_for_session


def _full_name(*parts: str | None) -> str | None:
    return " ".join(part for part in parts if part) or None


def part_of(row: Row[Any], viewer: Viewer) -> Part:
    ended = row.state in ENDED
    return Part(
        consent_id=row.id,
        user_id=row.user_id,
        name=_full_name(row.given_name, row.middle_name, row.family_name) or row.email,
        email=row.email,
        role=roles.title(row.role),
        scopes=tuple(catalogue.in_order(row.scope.split())) if ended else _opens(row.scope, row.role_now),
        allowed=tuple(catalogue.in_order(row.scope.split())),
        is_offline=_is_offline(row),
        granted_at=row.granted_at,
        expires_at=row.expires_at,
        last_accessed_at=row.last_accessed_at,
        state=row.state,
        ended_at=row.ended_at if ended else None,
        ended_by=_full_name(row.ender_given_name, row.ender_middle_name, row.ender_family_name),
        is_own=row.user_id == viewer.user_id,
        may_revoke=not ended and ending.may_revoke(viewer.role, user_id=viewer.user_id, granted_by=row.user_id),
        may_undo=ended and bool(row.undoable),
        expires_soon=not ended and row.expires_at - viewer.now < SOON,
    )


def application_of(rows: Sequence[Row[Any]], parts: Sequence[Part], viewer: Viewer) -> Application:
    left = [row for row in rows if row.state not in ENDED]
    shown = [row for row in left if row.state == ACTIVE] or left or rows
    expires_at = max(row.expires_at for row in shown)
    opened = {name for row in shown for name in (_opens(row.scope, row.role) if left else row.scope.split())}
    accessed = [row.last_accessed_at for row in rows if row.last_accessed_at is not None]
    ended = [row.revoked_at for row in rows if row.revoked_at is not None]
    first = rows[0]
    return Application(
        client_id=first.client_id,
        client_name=first.client_name,
        publisher=first.publisher,
        logo=first.logo,
        client_uri=first.client_uri,
        policy_uri=first.policy_uri,
        scopes=tuple(catalogue.in_order(opened)),
        granted_at=max(row.granted_at for row in shown),
        expires_at=expires_at,
        expires_soon=bool(left) and expires_at - viewer.now < SOON,
        last_accessed_at=max(accessed, default=None),
        state=shown[0].state,
        is_offline=any(_is_offline(row) for row in shown),
        people_count=sum(row.people for row in left or rows),
        active_count=sum(row.people for row in left if row.state == ACTIVE),
        ended_count=sum(row.people for row in rows if left and row.state in ENDED),
        own_count=sum(row.own for row in left),
        revocable_count=sum(row.people if viewer.may_revoke_any else row.own for row in left),
        undoable_count=sum(row.undoable for row in rows),
        ended_at=max(ended, default=None),
        revokes_any=viewer.may_revoke_any,
        parts=tuple(parts),
    )
