"""Business > History: what happened in this business, the newest first."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from portal import db, web
from portal.audit import reading
from portal.businesses import membership, roles
from portal.consents import catalogue, history, lapsing

bp = Blueprint("history", __name__)

PER_PAGE = 30


@bp.get("/business/<business_id>/history")
@login_required
def events(business_id: str) -> ResponseReturnValue:
    """The events of this business as sentences, a page at a time."""
    member = membership.get_active(db.session, current_user.id, business_id)
    before, brand = web.cursor("before"), web.brand()
    lapsing.record_of_business(db.session, business_id, now=db.utcnow())
    found, next_before = reading.list_of_business(db.session, business_id, history.SENTENCES, before=before, limit=PER_PAGE)
    return render_template(
        "consents/history.html",
        nav="history",
        nav_business=member.business,
        business=member.business,
        entries=[history.entry_of(event, with_address=roles.may_manage_users(member.role), brand=brand) for event in found],
        next_before=next_before,
        is_first_page=before is None,
        scope_title=lambda name: catalogue.title(name, brand=brand),
    )
