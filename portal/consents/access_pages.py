"""Business > Partner Application Access: who reaches this business's data, and the one click that ends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, current_app, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from portal import db, web
from portal.businesses import membership
from portal.businesses.models import Membership
from portal.consents import access, catalogue, ending, rows, standing
from portal.consents.rows import Application, Viewer
from portal.errors import NotFound

bp = Blueprint("access", __name__, url_prefix="/business/<business_id>/access")

ENDED_PER_PAGE, PEOPLE_PER_PAGE = 25, 50
STATUSES = {"": "Active and paused", "active": "Active", "paused": "Paused", "ended": "Ended"}

SORTS: dict[str, tuple[str, Callable[[Application], Any]]] = {
    "name": ("Application", lambda row: (row.client_name.casefold(), row.publisher.casefold())),
    "by": ("Granted by", lambda row: row.granted_by.name.casefold()),
    "granted": ("Granted on", lambda row: row.granted_at),
    "expires": ("Expires", lambda row: row.expires_at),
    "accessed": ("Last accessed", lambda row: row.last_accessed_at.timestamp() if row.last_accessed_at else 0.0),
    "status": ("Status", lambda row: (standing.ACTIVE, *standing.PAUSED, *standing.ENDED).index(row.state)),
}


@dataclass(frozen=True)
class Wish:
    """What of the table is asked for, and in which order; whatever makes no sense counts as not said."""

    q: str = ""
    status: str = ""
    sort: str = "name"
    descending: bool = False
    after: str | None = None

    def query(self, **changes: str | None) -> str:
        """The query string of this view with some things changed, for links."""
        stated = {
            "q": self.q,
            "status": self.status,
            "sort": self.sort if self.sort != "name" else "",
            "dir": "desc" if self.descending else "",
        }
        kept = {name: value for name, value in {**stated, **changes}.items() if value}
        return f"?{urlencode(kept)}" if kept else "?"

    def sorted_by(self, column: str) -> str:
        """The query string of a click on a column's heading: that column, or the other direction when it is sorted so."""
        turned = column == self.sort and not self.descending
        return self.query(sort=column, dir="desc" if turned else None)

    def aria_sort(self, column: str) -> str:
        return "none" if column != self.sort else "descending" if self.descending else "ascending"


def _wish() -> Wish:
    given = request.args
    return Wish(
        q=" ".join(given.get("q", "").replace("\0", "").split())[:100],
        status=given.get("status", "") if given.get("status") in STATUSES else "",
        sort=given.get("sort", "name") if given.get("sort") in SORTS else "name",
        descending=given.get("dir") == "desc",
        after=web.cursor("after"),
    )


def viewer_of(member: Membership) -> Viewer:
    return Viewer(member.user_id, member.role, db.utcnow(), _window())


def _window() -> timedelta:
    return timedelta(seconds=current_app.settings.undo_seconds)  # type: ignore[attr-defined]


@bp.get("")
@login_required
def table(business_id: str) -> ResponseReturnValue:
    """The applications that reach this business, as a table that can be filtered and sorted; and what has ended."""
    member = membership.get_active(db.session, current_user.id, business_id)
    viewer, wish = viewer_of(member), _wish()
    shown: dict[str, Any] = {"applications": [], "ended": [], "next_after": None, "any_current": True}
    if wish.status == "ended":
        shown["ended"], shown["next_after"] = access.list_ended(
            db.session, business_id, viewer, q=wish.q, after=wish.after, limit=ENDED_PER_PAGE
        )
    else:
        everything = access.list_applications(db.session, business_id, viewer)
        shown["applications"] = _wanted(everything, wish)
        shown["any_current"] = bool(everything)
    page = "consents/_table.html" if web.is_fragment() else "consents/access.html"
    return render_template(page, **context_of(member, viewer), wish=wish, sorts=SORTS, statuses=STATUSES, **shown)


def _wanted(applications: list[Application], wish: Wish) -> list[Application]:
    """The applications that pass the filter, in the wished order; equal ones by name.

    What the viewer may still undo passes whatever its status: the click was made in this view, and the way back is here.
    """
    text = wish.q.casefold()
    states = {"active": (standing.ACTIVE,), "paused": standing.PAUSED}.get(wish.status)
    found = [
        row
        for row in applications
        if (text in row.client_name.casefold() or text in row.publisher.casefold())
        and (states is None or row.state in states or row.undoable_count > 0)
    ]
    found.sort(key=SORTS["name"][1])
    found.sort(key=SORTS[wish.sort][1], reverse=wish.descending)
    return found


def context_of(member: Membership, viewer: Viewer) -> dict[str, Any]:
    brand = web.brand()
    return {
        "nav": "access",
        "nav_business": member.business,
        "business": member.business,
        "viewer": viewer,
        "chips": rows.chips,
        "scope_title": lambda name: catalogue.title(name, brand=brand),
        "back": back_to(member.business_id),
    }


def back_to(business_id: str) -> str:
    """Where a click without JavaScript returns to: the view it was made in."""
    home = url_for("access.table", business_id=business_id)
    if request.method == "POST":
        return web.safe_next(request.form.get("back"), home)
    return request.full_path.rstrip("?")


@bp.get("/<client_id>")
@login_required
def people(business_id: str, client_id: str) -> ResponseReturnValue:
    """One application with everyone whose access it has, a page at a time."""
    member = membership.get_active(db.session, current_user.id, business_id)
    viewer, wish = viewer_of(member), _wish()
    row = None if "\0" in client_id else access.find_application(db.session, business_id, client_id, viewer)
    if row is None:
        raise NotFound("This application has no access to the business now, so there is nothing to show.")
    parts, next_after = access.list_people(db.session, business_id, client_id, viewer, after=wish.after, limit=PEOPLE_PER_PAGE)
    return render_template(
        "consents/people.html", **context_of(member, viewer), row=row, parts=parts, next_after=next_after, wish=wish
    )


@bp.post("/<client_id>/revoke")
@login_required
def revoke(business_id: str, client_id: str) -> ResponseReturnValue:
    """End an application's access with one click: all of it, or what the person granted."""
    member = membership.get_active(db.session, current_user.id, business_id)
    ended = ending.revoke(db.session, member, client_id, by=current_user, now=db.utcnow(), window=_window())
    return _row(member, client_id, ended, _end_said)


@bp.post("/<client_id>/people/<consent_id>/revoke")
@login_required
def revoke_person(business_id: str, client_id: str, consent_id: str) -> ResponseReturnValue:
    """End what one person allowed the application."""
    member = membership.get_active(db.session, current_user.id, business_id)
    ended = ending.revoke(
        db.session, member, client_id, by=current_user, now=db.utcnow(), window=_window(), consent_id=consent_id
    )
    return _row(member, client_id, ended, _end_said, acted=consent_id)


@bp.post("/<client_id>/undo")
@login_required
def undo(business_id: str, client_id: str) -> ResponseReturnValue:
    """Give back what the person's last click ended, while it is fresh."""
    member = membership.get_active(db.session, current_user.id, business_id)
    viewer, consent_id = viewer_of(member), request.form.get("consent_id") or None
    restored = ending.undo(
        db.session,
        member,
        client_id,
        by=current_user,
        now=viewer.now,
        window=viewer.window,
        consent_id=consent_id,
    )
    return _row(member, client_id, restored, _undo_said, acted=consent_id)


def _end_said(what: ending.Ended, row: Application) -> str:
    """The sentence for the status line after an end: what no longer is, and what goes on."""
    if not what:
        return "Access had ended already." if row.is_over else "That part had ended already."
    name, names = what.client_name, _and(what.names)
    seconds = current_app.settings.undo_seconds  # type: ignore[attr-defined]
    ended = (
        f"{name} is blocked from now on, from all that {names} allowed."
        if row.is_over
        else f"What {names} allowed {name} has ended. {_still(row)}"
    )
    return f"{ended} You can undo this for {seconds} seconds."


def _still(row: Application) -> str:
    """What is left of an application that does stand."""
    first = row.granted_by.name
    if row.is_active:
        return f"It still has access through {_and_others(first, row.active_count - 1)}."
    return f"What {_and_others(first, row.others)} allowed is paused."


def _undo_said(what: ending.Ended, row: Application) -> str:
    """The sentence for the status line after an Undo."""
    if not what:
        return "Access stands again already."
    if row.people_count == row.active_count == len(what.names):
        return f"{what.client_name} has access again, exactly as {_and(what.names)} allowed it."
    return f"What {_and(what.names)} allowed {what.client_name} stands again, exactly as it was."


def _and_others(first: str, others: int) -> str:
    return first if not others else f"{first} and {others} {'other' if others == 1 else 'others'}"


def _and(names: tuple[str, ...]) -> str:
    if len(names) > 3:
        return f"{names[0]}, {names[1]} and {len(names) - 2} others"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _row(
    member: Membership,
    client_id: str,
    what: ending.Ended,
    said: Callable[[ending.Ended, Application], str],
    *,
    acted: str | None = None,
) -> ResponseReturnValue:
    """The row as it stands now: swapped in place by htmx, or shown by the page that the browser is sent back to.

    `acted` is the consent that the click was about, when it was one person's part: there the focus stays.
    """
    viewer = viewer_of(member)
    row = access.get_application(db.session, member.business_id, client_id, viewer)
    message = said(what, row)
    if not web.is_fragment():
        flash(message, "success")
        return web.see_other(back_to(member.business_id))
    return render_template("consents/_row.html", **context_of(member, viewer), row=row, message=message, acted=acted)
