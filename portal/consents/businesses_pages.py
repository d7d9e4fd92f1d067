"""All my businesses, and one of them at a glance: who I am there, and how many applications reach it.

Both count connections, and so are here and not in the room of businesses.
"""

from __future__ import annotations

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from portal import db, web
from portal.audit import reading
from portal.businesses import membership, roles
from portal.consents import access, choices, glance, history, lapsing

bp = Blueprint("my_businesses", __name__)

SEARCH_FROM = 8
LATEST_EVENTS = 3


@bp.get("/")
def home() -> ResponseReturnValue:
    """The address by which the portal is told; the first page of everybody is that of their businesses."""
    return web.see_other(url_for("my_businesses.businesses"))


@bp.get("/businesses")
@login_required
def businesses() -> ResponseReturnValue:
    """The businesses of the person, with invitations to answer, and a search where there are many."""
    everything = membership.list_all(db.session, current_user.id)
    accepted = [member for member in everything if member.accepted_at is not None]
    q = " ".join(request.args.get("q", "").split())[:100]
    return render_template(
        "consents/_businesses.html" if web.is_fragment() else "consents/businesses.html",
        nav="businesses",
        nav_businesses=[member.business for member in accepted],
        members=[member for member in accepted if choices.matches(member, q)],
        invitations=[member for member in everything if member.accepted_at is None],
        counts=access.count_applications(db.session, current_user.id, now=db.utcnow()),
        role_title=roles.title,
        total=len(accepted),
        searchable=len(accepted) >= SEARCH_FROM,
        q=q,
    )


@bp.get("/business/<business_id>")
@login_required
def overview(business_id: str) -> ResponseReturnValue:
    """One business at a glance: its facts, who can reach its data, its users, what happened last, and who may connect."""
    member, now, brand = membership.get_active(db.session, current_user.id, business_id), db.utcnow(), web.brand()
    lapsing.record_of_business(db.session, business_id, now=now)
    events, _ = reading.list_of_business(db.session, business_id, history.SENTENCES, before=None, limit=LATEST_EVENTS)
    users, invitations = membership.count_of_business(db.session, business_id)
    return render_template(
        "consents/overview.html",
        nav="business",
        nav_business=member.business,
        business=member.business,
        member=member,
        role_title=roles.title,
        manages=roles.may_manage_users(member.role),
        glance=glance.of_business(db.session, business_id, now=now),
        users=users,
        invitations=invitations,
        latest=[history.entry_of(event, with_address=False, brand=brand) for event in events],
    )
