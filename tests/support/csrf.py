"""The CSRF token of a browser session, for posting what its pages offer no form for."""

from __future__ import annotations

from itsdangerous import URLSafeTimedSerializer

from portal import Portal, db
from portal.accounts.models import BrowserSession
from portal.csrf import mask


def csrf(app: Portal, session_id: str) -> dict[str, str]:
    """The hidden field as any form of this session would send it."""
    with app.app_context():
        raw = db.session.get_one(BrowserSession, session_id).data["csrf_token"]
    return {"csrf_token": mask(URLSafeTimedSerializer(app.settings.secret_key, salt="wtf-csrf-token").dumps(raw))}
