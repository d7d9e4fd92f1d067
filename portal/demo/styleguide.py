"""/styleguide: every part of the pages in every state. The parts are those of the pages; what they show is made up here."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from portal import db, web
from portal.consents import access_pages, activity, catalogue, rows, standing
from portal.consents.activity import Chart, Day, Line, PartActivity
from portal.consents.rows import Application, Part, Viewer

bp = Blueprint("styleguide", __name__)

READ = ("openid", "funds.summary", "funds.basic", "members.read", "funds.read", "business.read", "offline_access")
UNDO = timedelta(seconds=30)


@bp.get("/styleguide")
def show() -> ResponseReturnValue:
    """Every part in every state."""
    now, brand = db.utcnow(), web.brand()
    return render_template(
        "styleguide.html",
        until=now,
        business={"id": "example", "name": "Acme Super Services", "abn": "51824753556", "code": "ACME"},
        viewer=Viewer("alice", "access_controller", now, UNDO),
        wish=access_pages.Wish(),
        sorts=access_pages.SORTS,
        statuses=access_pages.STATUSES,
        applications=_applications(now),
        chips=rows.chips,
        scope_title=lambda name: catalogue.title(name, brand=brand),
        back="/styleguide",
        **_activity(now),
    )


def _part(now: datetime, name: str, **changes: Any) -> Part:
    """What one person allowed 40 days ago for a year."""
    granted_at = now - timedelta(days=40)
    word = name.partition(" ")[0].lower()
    usual = Part(
        consent_id=word, user_id=word, name=name, email=f"{word}@acme.example", role="Fund Administrator", scopes=READ, allowed=READ,
        is_offline=True, granted_at=granted_at, expires_at=granted_at + timedelta(days=365), last_accessed_at=now - timedelta(hours=3),
        state=standing.ACTIVE, ended_at=None, ended_by=None, is_own=False, may_revoke=True, may_undo=False, expires_soon=False,
    )  # fmt: skip
    return replace(usual, **changes)


def _application(name: str, *parts: Part, **changes: Any) -> Application:
    """The row of these parts, which stands as the first of them does."""
    first, standing_count = parts[0], sum(not part.is_ended for part in parts)
    usual = Application(
        client_id=f"example-{name.lower()}", client_name=name, publisher=f"{name} Pty Ltd", logo=None, client_uri=None, policy_uri=None,
        scopes=first.scopes, granted_at=first.granted_at, expires_at=first.expires_at, expires_soon=first.expires_soon,
        last_accessed_at=first.last_accessed_at, state=first.state, is_offline=first.is_offline, people_count=standing_count or len(parts),
        active_count=sum(part.is_active for part in parts), ended_count=len(parts) - standing_count if standing_count else 0, own_count=0,
        revocable_count=int(first.may_revoke), undoable_count=int(first.may_undo), ended_at=first.ended_at, revokes_any=True, parts=parts,
    )  # fmt: skip
    return replace(usual, **changes)


def _applications(now: datetime) -> list[Application]:
    """A row of several people, of one, one that is paused, and one that has just ended."""
    over: dict[str, Any] = {"state": standing.REVOKED, "ended_at": now, "may_revoke": False, "may_undo": True}
    session = ("openid", "funds.summary")
    return [
        _application(
            "Ledgerly",
            _part(now, "Alice Nguyen", is_own=True, role="Access Controller"),
            _part(now, "Dana O’Connor", scopes=session, is_offline=False, expires_at=now + timedelta(hours=9), expires_soon=True),
            _part(now, "Bob Kowalski", **over),
            logo="logos/ledgerly.svg",
        ),
        _application("Pocketfolio", _part(now, "Erin Pascoe", scopes=("openid", "funds.write"), last_accessed_at=None)),
        _application("Tidemark", _part(now, "Erin Pascoe", state=standing.CLIENT_DISABLED, may_revoke=False, scopes=())),
        _application("Quokka", _part(now, "Alice Nguyen", **over)),
    ]


def _activity(now: datetime) -> dict[str, Any]:
    """Three months of calls, and a line of each kind."""
    line = Line(scope="", calls=0, refused=0, last_at=None, is_allowed=True, is_required=False, is_unused=False, used=(), keep=())
    lines = (
        replace(
            line,
            scope="funds.read",
            calls=9,
            last_at=now - timedelta(days=3),
            is_unused=True,
            used=("funds.summary",),
            keep=("funds.summary",),
        ),
        replace(line, scope="members.read", calls=1200, last_at=now - timedelta(hours=3)),
        replace(line, scope="funds.summary", is_required=True, is_unused=True),
        replace(line, scope="business.read", last_at=now - timedelta(days=130), is_unused=True),
        replace(line, scope="funds.create", refused=3, is_allowed=False),
    )
    return {
        "client": {"client_id": "example-activity", "client_name": "Ledgerly", "publisher": "Ledgerly Pty Ltd"},
        "chart": _chart(now),
        "people": [PartActivity(_part(now, "Alice Nguyen"), lines)],
        "next_after": None,
        "window_days": activity.WINDOW_DAYS,
        "counted_since": now - timedelta(days=365),
        "zone_name": "Sydney",
        "in_row": False,
        "message": None,
    }


def _chart(now: datetime) -> Chart:
    """Busy on working days, with two days on which something was refused."""
    dates = [now.date() - timedelta(days=ago) for ago in reversed(range(activity.WINDOW_DAYS))]
    return activity.drawn(
        [Day(day, 20 + n * 37 % 120 if day.weekday() < 5 else 0, 14 if n in (40, 41) else 0) for n, day in enumerate(dates)]
    )
