"""A partner sends the person here to sign out (OpenID Connect RP-Initiated Logout 1.0), and gets them back afterwards.

The session ends without a question only when the ID token that hints at it was given out in this very session. Anybody
else's link leads to a page that asks. Nobody is sent to an address that the client has not registered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote, quote_plus

from flask import Blueprint, Response, current_app, flash, make_response, redirect, render_template, request, url_for
from flask_login import current_user
from flask_wtf.csrf import validate_csrf
from wtforms.validators import ValidationError

from portal import csrf, db, web
from portal.accounts import sessions
from portal.accounts.models import BrowserSession
from portal.audit.record import record
from portal.clients.models import Client
from portal.config import Settings
from portal.errors import BadRequest, FormOutOfDate
from portal.oauth import id_token
from portal.oauth import request as requests

bp = Blueprint("logout", __name__)

PARAMETERS = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state")
MAX_LENGTH = 8192
TITLE = "That link to sign out cannot be trusted"
STAYED = "Nothing was changed, and you are still signed in if you were. You can sign out with the button on any page."


@dataclass(frozen=True)
class Asked:
    """A request to sign out that passed every check. `return_to` is registered for the client, or None."""

    client: Client | None
    return_to: str | None
    state: str | None
    claims: dict[str, Any] | None
    raw: str
    """The parameters once more, in pure ASCII, for the form of the page that asks."""

    def names(self, row: BrowserSession) -> bool:
        """Whether the ID token was given out in this very session."""
        return self.claims is not None and (self.claims["sid"], self.claims["sub"]) == (row.id, row.user_id)


@bp.get("/oauth/logout", head=False)
def sign_out_by_link() -> Response:
    """Signed out and back at the partner; or asked first, when it is not certain who is meant."""
    asked = read(request.query_string)
    row = sessions.current()
    if not current_user.is_authenticated or row is None:
        return leave(asked)
    if asked.names(row):
        end_session()
        return leave(asked)
    if asked.return_to is not None:
        web.allow_form_action(requests.return_origin(asked.return_to))  # the redirect after this form leads there
    host = requests.return_host(asked.return_to) if asked.return_to is not None else ""
    return make_response(render_template("oauth/logout.html", client=asked.client, host=host, request_text=asked.raw))


@bp.post("/oauth/logout")
def sign_out_by_form() -> Response:
    """The answer of our own page. A partner's form comes without our cookie, since it is from another site, so it goes on as a link."""
    body = web.whole_body(request)  # before Flask reads the form, so that `state` stays as it came
    if "csrf_token" not in request.form:
        return web.see_other(f"{url_for('logout.sign_out_by_link')}?{read(body).raw}")
    try:
        validate_csrf(csrf.unmask(request.form["csrf_token"]))
    except ValidationError as error:
        raise FormOutOfDate(detail=str(error)) from None
    asked = read(request.form.get("request", "").encode())
    if request.form.get("decision") != "sign_out":
        flash("You are still signed in.")
        return web.see_other("/businesses")
    if current_user.is_authenticated:
        end_session()
    return leave(asked)


def read(raw: bytes) -> Asked:
    """The request, checked as RP-Initiated Logout §2 and §3 say. Raises BadRequest, and then nothing has ended.

    A hint that cannot be read, such as one whose key is gone, is none: the person is asked, and sent nowhere on its word.
    """
    try:
        parameters, repeated = requests.single(requests.read_query(raw))
    except ValueError:
        raise refused("too many parameters") from None
    given = {name: parameters[name] for name in PARAMETERS if name in parameters}
    if repeated & set(PARAMETERS) or any(len(value) > MAX_LENGTH for value in given.values()):
        raise refused("a parameter is repeated or too long")
    hint = given.get("id_token_hint")
    claims = id_token.read_hint(db.session, _settings().issuer, hint) if hint is not None else None
    client = _find_client(given.get("client_id"), claims)
    return_to = given.get("post_logout_redirect_uri")
    if client is None and hint is not None:
        return_to = None
    if return_to is not None and (client is None or return_to not in client.post_logout_redirect_uris):
        raise refused("post_logout_redirect_uri is not registered")
    ascii_only = "&".join(f"{name}={quote(value, safe='', errors='surrogateescape')}" for name, value in given.items())
    return Asked(client, return_to, given.get("state"), claims, ascii_only)


def _find_client(client_id: str | None, claims: dict[str, Any] | None) -> Client | None:
    """The client that asks; None when it does not say."""
    named = client_id if client_id is not None else claims["aud"] if claims is not None else None
    if named is None:
        return None
    if claims is not None and claims["aud"] != named:
        raise refused("client_id is not the audience of the id_token_hint")
    client = db.session.get(Client, named) if named.isascii() and named.isprintable() else None
    if client is None or not client.is_active:
        raise refused("unknown client")
    return client


def refused(detail: str) -> BadRequest:
    return BadRequest(STAYED, title=TITLE, detail=detail)


def end_session() -> None:
    """The session has ended, and with it every connection that lasts only while signed in."""
    record(db.session, "user.signed_out", now=db.utcnow(), user_id=current_user.id, user_name=current_user.name)
    sessions.here().end("signed_out")


def leave(asked: Asked) -> Response:
    """Back to the partner with its `state` as it came; without an address to go to, to the sign-in page."""
    if asked.return_to is None:
        flash("You are signed out.", "success")
        return web.see_other(url_for("accounts.sign_in"))
    location = asked.return_to
    if asked.state is not None:
        separator = "&" if "?" in location else "?"
        location = f"{location}{separator}state={quote_plus(asked.state, errors='surrogateescape')}"
    response = cast(Response, redirect(location, 303))
    response.autocorrect_location_header = False
    response.headers["Location"] = location  # as it was registered, without Werkzeug's normalising
    response.headers["Cache-Control"] = "no-store"
    return response


def _settings() -> Settings:
    return cast(Settings, current_app.settings)  # type: ignore[attr-defined]
