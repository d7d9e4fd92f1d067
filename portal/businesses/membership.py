"""Who may act for which business, and how that begins, changes and ends.

A business never loses its last Access Controller: what takes one away first locks the business's row, so that two who
do it at once come one after the other, and then counts the others in the UPDATE itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, Table, exists, func, select, update
from sqlalchemy.orm import Session, contains_eager, joinedload

from portal.accounts.models import User
from portal.audit import record
from portal.businesses import roles
from portal.businesses.models import Business, Membership
from portal.db import table_of
from portal.errors import Conflict, Forbidden, NotFound

_membership, _user = table_of(Membership), table_of(User)
MANAGERS = [role.key for role in roles.ROLES.values() if role.manages_users]


def find_active(session: Session, user_id: str, business_id: str) -> Membership | None:
    """The membership of an accepted member with its business; None for everyone else."""
    if "\0" in business_id:  # no id holds one, and PostgreSQL takes no text that does
        return None
    return session.scalars(
        select(Membership)
        .where(Membership.user_id == user_id, Membership.business_id == business_id, *_is_active(_membership))
        .options(joinedload(Membership.business, innerjoin=True))
    ).one_or_none()


def get_active(session: Session, user_id: str, business_id: str) -> Membership:
    """The same; raises NotFound, and so a stranger's business looks like one that does not exist."""
    found = find_active(session, user_id, business_id)
    if found is None:
        raise NotFound
    return found


def find_any(session: Session, user_id: str, business_id: str) -> Membership | None:
    """The tie between a person and a business, be it invited, accepted or ended."""
    return session.scalars(
        select(Membership).where(Membership.user_id == user_id, Membership.business_id == business_id)
    ).one_or_none()


def list_active(session: Session, user_id: str) -> list[Membership]:
    """The accepted memberships of a person with their businesses, by name and then code."""
    return _list_of_user(session, user_id, Membership.accepted_at.is_not(None))


def list_all(session: Session, user_id: str) -> list[Membership]:
    """Accepted memberships and open invitations of a person, with their businesses, by name and then code."""
    return _list_of_user(session, user_id)


def _list_of_user(session: Session, user_id: str, *conditions: ColumnElement[bool]) -> list[Membership]:
    return list(
        session.scalars(
            select(Membership)
            .join(Membership.business)
            .where(Membership.user_id == user_id, Membership.ended_at.is_(None), *conditions)
            .options(contains_eager(Membership.business))
            .order_by(Business.name, Business.code)
        )
    )


def list_of_business(session: Session, business_id: str) -> list[Membership]:
    """Everyone who is a member or invited, with the person, by name."""
    return list(
        session.scalars(
            select(Membership)
            .join(Membership.user)
            .where(Membership.business_id == business_id, Membership.ended_at.is_(None))
            .options(contains_eager(Membership.user))
            .order_by(User.family_name, User.given_name, Membership.id)
        )
    )


def count_of_business(session: Session, business_id: str) -> tuple[int, int]:
    """How many of those that `list_of_business` lists have accepted, and how many have not answered yet."""
    query = select(func.count(Membership.accepted_at), func.count())
    accepted, everyone = session.execute(query.where(Membership.business_id == business_id, Membership.ended_at.is_(None))).one()
    return accepted, everyone - accepted


def find_only_manager(people: Iterable[Membership]) -> Membership | None:
    """The one of a business's people (from `list_of_business`) without whom nobody could manage it; None when there are more."""
    managers = [person for person in people if person.is_active and person.role in MANAGERS and person.user.disabled_at is None]
    return managers[0] if len(managers) == 1 else None


def get_of_business(session: Session, business_id: str, membership_id: str) -> Membership:
    """One membership of this business that has not ended, with the person. Raises NotFound."""
    found = None
    if "\0" not in membership_id:
        found = session.scalars(
            select(Membership)
            .where(Membership.id == membership_id, Membership.business_id == business_id, Membership.ended_at.is_(None))
            .options(joinedload(Membership.user, innerjoin=True))
        ).one_or_none()
    if found is None:
        raise NotFound("This person is not, or no longer, a user of this business. Nothing was changed.")
    return found


def add(session: Session, user: User, business: Business, role: str, *, accepted: bool, now: datetime) -> Membership:
    """Invite a person, or add them at once; who left before comes back under the same row. Raises Conflict for a member."""
    member = find_any(session, user.id, business.id)
    if member is not None and member.ended_at is None:
        raise Conflict(f"{user.email} is a user of {business.name} already, as {roles.title(member.role)}. Nothing was changed.")
    if member is None:
        member = Membership(user_id=user.id, business_id=business.id)
        session.add(member)
    member.role, member.invited_at, member.accepted_at, member.ended_at = role, now, now if accepted else None, None
    session.flush()
    record.record(
        session, "membership.added", now=now, business_id=business.id,
        business_name=business.name, member_name=user.name, role=role, accepted=accepted,
    )  # fmt: skip
    return member


def accept(session: Session, membership_id: str, user: User, *, now: datetime) -> Business:
    """Take up one's own invitation; claimed once. Raises NotFound when there is none that is open."""
    return _answer_invitation(session, membership_id, user, "membership.accepted", now=now, accepted_at=now)


def decline(session: Session, membership_id: str, user: User, *, now: datetime) -> Business:
    """Turn down one's own invitation; claimed once. Raises NotFound when there is none that is open."""
    return _answer_invitation(session, membership_id, user, "membership.ended", now=now, ended_at=now)


def _answer_invitation(
    session: Session, membership_id: str, user: User, kind: str, *, now: datetime, **change: datetime
) -> Business:
    claim = (
        update(_membership)
        .where(
            _membership.c.id == membership_id.replace("\0", ""),
            _membership.c.user_id == user.id,
            _membership.c.accepted_at.is_(None),
            _membership.c.ended_at.is_(None),
        )
        .values(**change)
        .returning(_membership.c.business_id, _membership.c.role)
    )
    claimed = session.execute(claim).one_or_none()
    if claimed is None:
        raise NotFound("This invitation is not open any more. Nothing was changed.")
    business = session.get_one(Business, claimed.business_id)
    record.record(
        session, kind, now=now, user_id=user.id, business_id=business.id,
        business_name=business.name, user_name=user.name, member_name=user.name, role=claimed.role,
        declined=kind == "membership.ended",
    )  # fmt: skip
    return business


def change_role(session: Session, member: Membership, role: str, *, by: User, now: datetime) -> bool:
    """Give `member` (from `get_of_business`) another role. False when they had it. Raises where the last manager would go."""
    if role not in roles.ROLES:
        raise Conflict("There is no such role. Nothing was changed.", detail="unknown role")
    if role == member.role:
        return False
    before = member.role
    _change(session, member, by=by, keeps_managing=roles.may_manage_users(role), values={"role": role})
    record.record(
        session, "membership.role_changed", now=now, user_id=by.id, business_id=member.business_id,
        user_name=by.name, member_name=member.user.name, role=role, role_before=before,
    )  # fmt: skip
    return True


def end(session: Session, member: Membership, *, by: User, now: datetime) -> None:
    """Remove `member` (from `get_of_business`) from the business; all they allowed opens nothing from now on."""
    _change(session, member, by=by, keeps_managing=False, values={"ended_at": now})
    record.record(
        session, "membership.ended", now=now, user_id=by.id, business_id=member.business_id,
        user_name=by.name, member_name=member.user.name, role=member.role,
    )  # fmt: skip


def _change(session: Session, member: Membership, *, by: User, keeps_managing: bool, values: dict[str, Any]) -> None:
    """One UPDATE that holds while `by` manages the business, and while somebody will manage it afterwards."""
    session.execute(select(Business.id).where(Business.id == member.business_id).with_for_update())
    conditions = [_is_manager(member.business_id, _user.c.id == by.id)]
    if not keeps_managing:
        conditions.append(_is_manager(member.business_id, _membership.c.id != member.id))
    change = (
        update(_membership)
        .where(_membership.c.id == member.id, _membership.c.ended_at.is_(None), _membership.c.role == member.role, *conditions)
        .values(**values)
    )
    if _rows(session, change) == 1:
        session.refresh(member, ["role", "ended_at"])
        return
    if not session.scalar(select(conditions[0])):
        raise Forbidden("Only an Access Controller can change the users of a business. Nothing was changed.")
    if not keeps_managing and not session.scalar(select(conditions[-1])):
        raise Conflict(
            f"{member.user.name} is the last Access Controller. Make somebody else an Access Controller first; "
            "otherwise nobody could manage this business. Nothing was changed.",
            title="A business needs an Access Controller",
        )
    raise Conflict


def _rows(session: Session, statement: Any) -> int:
    result = session.execute(statement)
    assert isinstance(result, CursorResult)  # noqa: S101, for the type
    return result.rowcount


def _is_active(membership: Table) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return membership.c.accepted_at.is_not(None), membership.c.ended_at.is_(None)


def _is_manager(business_id: str, who: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether a person like `who` manages the business today."""
    return exists(
        select(_membership.c.id)
        .join(_user, _user.c.id == _membership.c.user_id)
        .where(
            _membership.c.business_id == business_id,
            _membership.c.role.in_(MANAGERS),
            *_is_active(_membership),
            _user.c.disabled_at.is_(None),
            who,
        )
    )


def change_policy(session: Session, business: Business, policy: str, *, by: User, now: datetime) -> bool:
    """Set who may connect applications. False when it stood so; raises where `by` does not manage the business."""
    if policy not in ("members", "access_controllers"):
        raise Conflict("There is no such setting. Nothing was changed.", detail="unknown connect policy")
    table = table_of(Business)
    change = (
        update(table)
        .where(table.c.id == business.id, table.c.connect_policy != policy, _is_manager(business.id, _user.c.id == by.id))
        .values(connect_policy=policy)
    )
    if _rows(session, change) == 0:
        if not session.scalar(select(_is_manager(business.id, _user.c.id == by.id))):
            raise Forbidden("Only an Access Controller can change who may connect applications. Nothing was changed.")
        return False
    session.refresh(business, ["connect_policy"])
    record.record(
        session, "business.policy_changed", now=now, user_id=by.id, business_id=business.id,
        business_name=business.name, user_name=by.name, policy=policy,
    )  # fmt: skip
    return True
