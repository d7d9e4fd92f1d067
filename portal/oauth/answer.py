"""The way back to the client: a redirect, or a page that posts itself; with `state` as it came and `iss` always (RFC 9207)."""

from __future__ import annotations

from urllib.parse import quote_plus

from authlib.oauth2 import OAuth2Error
from flask import Response, make_response, render_template

from portal import db, packing, web
from portal.clients.models import Client
from portal.oauth.request import AuthorizationRequest, Refusal, return_host, return_origin


def with_code(request: AuthorizationRequest, code: str, *, issuer: str) -> Response:
    """RFC 6749 §4.1.2."""
    return _send(request.client_id, request.redirect_uri, request.response_mode, {"code": code}, request.state, issuer)


def with_error(request: AuthorizationRequest, error: OAuth2Error, *, issuer: str) -> Response:
    """RFC 6749 §4.1.2.1, for an error found after the request was accepted."""
    refusal = Refusal(error, request.redirect_uri, request.response_mode, request.state)
    return with_refusal(refusal, client_id=request.client_id, issuer=issuer)


def with_refusal(refusal: Refusal, *, client_id: str, issuer: str) -> Response:
    """RFC 6749 §4.1.2.1."""
    members = {"error": str(refusal.error.error)}
    if refusal.error.description:
        members["error_description"] = str(refusal.error.description)
    return _send(client_id, refusal.redirect_uri, refusal.response_mode, members, refusal.state, issuer)


def _send(client_id: str, redirect_uri: str, mode: str, members: dict[str, str], state: str | None, issuer: str) -> Response:
    members = {**members, **({"state": state} if state is not None else {}), "iss": issuer}
    if mode == "form_post":
        return _post(client_id, redirect_uri, members)
    query = "&".join(f"{name}={quote_plus(value, errors='surrogateescape')}" for name, value in members.items())
    separator = "&" if "?" in redirect_uri else "?"
    # Not by Werkzeug's redirect, which normalises: the registered address and the state arrive as they were.
    return web.WholeAnswer("", 303, [("Location", f"{redirect_uri}{separator}{query}")], "text/plain")


def _post(client_id: str, redirect_uri: str, members: dict[str, str]) -> Response:
    """OAuth 2.0 Form Post Response Mode §2: a form that a script of ours sends, and a button for browsers without."""
    web.allow_form_action(return_origin(redirect_uri))
    packing.keep_unpacked()
    page = render_template(
        "oauth/form_post.html",
        action=redirect_uri,
        members=members,
        host=return_host(redirect_uri),
        asking=db.session.get_one(Client, client_id),
    )
    return make_response(page)
