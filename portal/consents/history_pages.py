"""Business > History: what happened in this business, the newest first."""

from __future__ import annotations

import re

from flask import Blueprint, current_app, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from portal import db
from portal.audit import reading
from portal.businesses import membership, roles
from portal.consents import catalogue, history

bp = Blueprint("history", __name__)

CURSOR = re.compile(r"[a-z0-9-]{1,64}")
PER_PAGE = 30


@bp.get("/business/<business_id>/history")
@login_required
def events(business_id: str) -> ResponseReturnValue:
    """The events of this business as sentences, a page at a time."""
    member = membership.get_active(db.session, current_user.id, business_id)
    before = request.args.get("before", "")
    found, next_before = reading.list_of_business(
        db.session, business_id, history.SENTENCES, before=before if CURSOR.fullmatch(before) else None, limit=PER_PAGE
    )
    brand = current_app.settings.brand  # type: ignore[attr-defined]
    return render_template(
        "consents/history.html",
        nav="history",
        nav_business=member.business,
        business=member.business,
        now=db.utcnow(),
        entries=[history.entry_of(event, with_address=roles.may_manage_users(member.role)) for event in found],
        next_before=next_before,
        is_first_page=not CURSOR.fullmatch(before),
        scope_title=lambda name: catalogue.title(name, brand=brand),
    )
