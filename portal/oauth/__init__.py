"""The protocol: an OAuth 2.1 and OpenID Connect authorization server (RFC 6749, RFC 9700, OpenID Connect Core 1.0)."""

from flask import Flask
from flask_wtf import CSRFProtect

from portal.oauth import authorize_pages, commands, endpoints, logout_pages, verify
from portal.oauth.server import PortalAuthorizationServer


def init_app(app: Flask, csrf: CSRFProtect) -> None:
    """Register this room's endpoints and commands."""
    app.extensions["portal-oauth"] = PortalAuthorizationServer(app.settings, app.keyring)  # type: ignore[attr-defined]
    app.register_blueprint(authorize_pages.bp)
    csrf.exempt(authorize_pages.endpoint_by_form)  # it comes from other sites, changes nothing, and leads to a page that asks
    app.register_blueprint(endpoints.bp)
    csrf.exempt(endpoints.bp)
    app.register_blueprint(verify.bp)
    csrf.exempt(verify.bp)
    app.register_blueprint(logout_pages.bp)
    csrf.exempt(logout_pages.bp)  # a partner's form comes without our token; the page that asks checks it itself
    app.cli.add_command(commands.group)
    app.cli.add_command(commands.tokens_group)
