"""For an API that is not this one: a reverse proxy asks, for each request, whether its token opens a scope and for whom.

nginx asks by `auth_request`, Envoy by `ext_authz`; docs/nginx.md shows how. What is told to the proxy is told of the token
that the client holds, so nobody learns by asking here what a call of the API would not tell them. Asking counts as a use
all the same, which is why a proxy can be made to show with PORTAL_VERIFY_KEY that it is one.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, quote

import structlog
from flask import Blueprint, Response, current_app, request
from sqlalchemy import Connection

from portal import crypto, db, web
from portal.config import Settings
from portal.consents import catalogue
from portal.errors import BadRequest
from portal.oauth import bearer, uses
from portal.oauth.bearer import Challenge
from portal.oauth.tokens import AccessLookup

log = structlog.get_logger()

bp = Blueprint("verify", __name__)

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
"""nginx asks by GET, Envoy with the method of the request that it holds."""
PRINTABLE = "!#$&'()*+,-./:;<=>?@[]^_`{|}~"
"""With letters and digits, what a header can hold without doubt; the rest is written as %XX."""
MOST_FIELDS = 50
KEY_HEADER = "X-Verify-Key"
UNNAMED = ("",)
"""What is counted when the proxy names no scope."""


@bp.route("/oauth/verify", methods=METHODS)
def verify() -> Response:
    """200 with who, for which business, under which consent; or 401 or 403 with the challenge for the client. Never a body."""
    app: Any = current_app
    if not _is_from_a_proxy(app.settings.verify_key):
        log.warning("verification refused", reason=f"{KEY_HEADER} is missing or wrong")
        return _answer(403, {})
    needed = _needed(request.query_string)
    now = db.utcnow()
    with db.reader() as connection:
        found = _admit(connection, needed, app.settings, now=now)
        if isinstance(found, Challenge):
            uses.note_refusal(connection, found.access, needed or UNNAMED, now=now)
            # A proxy passes on 401 and 403; anything else would become its own error, whoever is at fault (RFC 6750 §3.1).
            return _answer(403 if found.status == 403 else 401, {"WWW-Authenticate": found.header})
        uses.note(connection, found, needed or UNNAMED, now=now)
    return _answer(200, identity(found))


def _is_from_a_proxy(key: str) -> bool:
    return not key or crypto.same(request.headers.get(KEY_HEADER, ""), key)


@lru_cache(maxsize=256)  # a proxy asks with the few addresses of its configuration
def _needed(query: bytes) -> tuple[str, ...]:
    """The scopes of which the token must open one; () when none was named. Raises BadRequest for the proxy's own mistakes."""
    try:
        given = parse_qs(query.decode(errors="replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise BadRequest(detail="too many fields") from None
    if "scope" not in given:
        return ()
    scopes = tuple(" ".join(given["scope"]).split())
    if not scopes or catalogue.unknown(scopes):
        raise BadRequest(detail="the scope to verify is not of the catalogue")
    return scopes


def _admit(connection: Connection, needed: tuple[str, ...], settings: Settings, *, now: datetime) -> AccessLookup | Challenge:
    """The live token of this request when it opens anything, and one of `needed` when any is."""
    found = bearer.find(connection, request, settings, now=now)
    if isinstance(found, Challenge):
        return found
    opened = found.effective.opened
    if not opened or (needed and opened.isdisjoint(needed)):
        return bearer.insufficient_scope(settings, " ".join(needed) or None, access=found)
    return found


def identity(access: AccessLookup) -> dict[str, str]:
    """Who calls, as headers. `X-Scopes` names every scope that is opened, contained ones too: looking one up is enough."""
    return {
        "X-Consent-Id": _plain(access.consent_id),
        "X-Business-Id": _plain(access.business_id),
        "X-User-Id": _plain(access.user_id),
        "X-Client-Id": _plain(access.client_id),
        "X-Scopes": access.effective.opened_scope,
    }


def _plain(value: str) -> str:
    return value if value.isalnum() and value.isascii() else quote(value, safe=PRINTABLE)


def _answer(status: int, headers: dict[str, str]) -> Response:
    return web.WholeAnswer("", status, headers.items(), content_type="text/plain; charset=utf-8")
