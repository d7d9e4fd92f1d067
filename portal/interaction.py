"""A parked authorization request: what the partner asked, waiting on the server while the person signs in and decides.

Pages carry only its opaque id. It is bound to the browser session, lasts 30 minutes, and is spent once.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ColumnElement, Index, delete, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.db import Base, Id, new_id


class Interaction(Base):
    """One authorization request between its arrival and its answer."""

    __tablename__ = "interactions"
    __table_args__ = (Index("ix_interactions_expires_at", "expires_at"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    session_id: Mapped[str] = mapped_column(Id)
    """The browser session it is bound to; nobody else's browser can go on with it."""
    client_id: Mapped[str] = mapped_column(Id)
    parameters: Mapped[dict[str, Any]] = mapped_column(JSON)
    """The validated authorization request, by parameter name."""
    asking: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Who asks, for the pages: client_name, publisher, client_uri, logo, return_host, return_origin."""
    business_id: Mapped[str | None] = mapped_column(Id)
    """The business the person chose."""
    prompted: Mapped[dict[str, Any]] = mapped_column(JSON)
    """What this interaction itself has asked for and got: prompt name to the epoch second it was answered."""
    decision: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """What the person decided: `allow` (bool), and with it `scopes` and `duration`. It takes effect with the answer."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    spent_at: Mapped[datetime | None]


def find(db: Session, interaction_id: str | None, *, session_id: str | None, now: datetime) -> Interaction | None:
    """The live interaction of this browser session, or None: a stranger's id, a spent one and an old one look alike."""
    if not interaction_id or not session_id or not interaction_id.isprintable():
        return None  # PostgreSQL takes no NUL
    parked = db.get(Interaction, interaction_id)
    if parked is None or parked.session_id != session_id or parked.spent_at is not None or parked.expires_at <= now:
        return None
    return parked


def rebind(db: Session, parked: Interaction, *, session_id: str) -> None:
    """Carry a parked request over to the new session of the same browser, when the person switches user.

    Written whole: what the one before chose and decided goes, even when another tab stored it a moment ago.
    """
    fresh: dict[str, Any] = {"session_id": session_id, "business_id": None, "prompted": {}, "decision": None}
    _claim(db, parked, fresh)
    db.refresh(parked)


def choose(db: Session, parked: Interaction, business_id: str) -> bool:
    """Note the business that the person chose; False when this was decided or answered in another tab already."""
    return _claim(db, parked, {"business_id": business_id}, Interaction.decision.is_(None))


def decide(db: Session, parked: Interaction, decision: dict[str, Any]) -> bool:
    """Claim the one decision of this interaction; False when another tab decided already, or chose another business."""
    same_business = Interaction.business_id.is_not_distinct_from(parked.business_id)
    return _claim(db, parked, {"decision": decision}, Interaction.decision.is_(None), same_business)


def spend(db: Session, parked: Interaction, *, now: datetime) -> bool:
    """Claim the one answer this interaction may have; False when another tab already took it."""
    return _claim(db, parked, {"spent_at": now})


def _claim(db: Session, parked: Interaction, values: dict[str, Any], *conditions: ColumnElement[bool]) -> bool:
    """One UPDATE while nothing was answered and the same browser session goes on, and `conditions` hold."""
    is_open = (Interaction.id == parked.id, Interaction.session_id == parked.session_id, Interaction.spent_at.is_(None))
    claim = update(Interaction).where(*is_open, *conditions).values(**values)
    found = db.execute(claim, execution_options={"synchronize_session": False})
    return found.rowcount == 1  # type: ignore[attr-defined,no-any-return]


def prune(db: Session, *, before: datetime) -> int:
    """Delete the parked requests that expired before this moment. Returns how many there were."""
    return db.execute(delete(Interaction).where(Interaction.expires_at < before)).rowcount  # type: ignore[attr-defined,no-any-return]
