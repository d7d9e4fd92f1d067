"""All my businesses: where I may act, as what, and how many applications reach each. It counts connections, so it is here."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from portal import db, web
from portal.businesses import membership, roles
from portal.consents import access, choices

bp = Blueprint("my_businesses", __name__)

SEARCH_FROM = 8


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
