"""Business > Partner Application Access > Activity: what an application did with its access, and one click to narrow it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, current_app, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from portal import db, web
from portal.businesses import membership
from portal.businesses.models import Membership
from portal.config import Settings
from portal.consents import access, activity, catalogue, narrowing, usage
from portal.consents.access_pages import back_to, context_of, viewer_of
from portal.errors import NotFound

bp = Blueprint("activity", __name__, url_prefix="/business/<business_id>/access/<client_id>")

PEOPLE_PER_PAGE = 20


@bp.get("/activity")
@login_required
def show(business_id: str, client_id: str) -> ResponseReturnValue:
    """The last 90 days of an application, by day and by person: a page, or inside its row of the access table."""
    member = membership.get_active(db.session, current_user.id, business_id)
    page = "consents/_activity.html" if web.is_fragment() else "consents/activity.html"
    return render_template(page, **_view(member, client_id), message=None)


@bp.post("/narrow")
@login_required
def narrow(business_id: str, client_id: str) -> ResponseReturnValue:
    """Take one scope out of one person's part, or keep only the parts of it that are used."""
    member = membership.get_active(db.session, current_user.id, business_id)
    narrowed = narrowing.narrow(
        db.session,
        member,
        client_id,
        consent_id=request.form.get("consent_id", ""),
        scope=request.form.get("scope", ""),
        keep=request.form.getlist("keep"),
        by=current_user,
        now=db.utcnow(),
        brand=web.brand(),
    )
    message = _said(narrowed)
    if not web.is_fragment():
        flash(message, "success")
        return web.see_other(back_to(business_id))
    view = _view(member, client_id)
    row = access.get_application(db.session, business_id, client_id, view["viewer"])
    return render_template("consents/_activity.html", **view, message=message, row=row)


def _said(narrowed: narrowing.Narrowed) -> str:
    """The sentence for the status line."""
    title = f"“{_title(narrowed.scope)}”"
    if not narrowed.is_new:
        return f"{narrowed.client_name} is not allowed {title} now, so nothing was changed."
    left = " and ".join(f"“{_title(name)}”" for name in narrowed.kept)
    if left:
        return f"{narrowed.client_name} keeps {left} of {title}. The rest is blocked from its next call on."
    return f"{title} is taken away from {narrowed.client_name}, from its next call on."


def _title(scope: str) -> str:
    return catalogue.title(scope, brand=web.brand()) if scope else "Calls that named no permission"


def _view(member: Membership, client_id: str) -> dict[str, Any]:
    viewer = viewer_of(member)
    client = activity.find_client(db.session, member.business_id, client_id)
    if client is None:
        raise NotFound
    today = current_app.extensions[usage.EXTENSION].day_of(viewer.now)
    parts, next_after = access.list_people(
        db.session, member.business_id, client_id, viewer,
        after=web.cursor("after"), limit=PEOPLE_PER_PAGE, used_since=activity.first_day(today),
    )  # fmt: skip
    settings: Settings = current_app.settings  # type: ignore[attr-defined]
    home = url_for("activity.show", business_id=member.business_id, client_id=client_id)
    return {
        **context_of(member, viewer),
        "scope_title": _title,
        "back": home,
        "client": client,
        "chart": activity.chart(db.session, member.business_id, client_id, today=today),
        "people": activity.of_parts(db.session, parts, required=client.required_scopes, today=today, now=viewer.now),
        "next_after": next_after,
        "window_days": activity.WINDOW_DAYS,
        "counted_since": viewer.now - timedelta(days=settings.usage_kept_days),
        "zone_name": settings.timezone.rpartition("/")[2].replace("_", " "),
        "in_row": web.is_fragment(),
    }
