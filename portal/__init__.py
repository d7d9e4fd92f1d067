"""The consent portal: `create_app` wires everything in the order in which a request meets it."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from flask import Flask, Request
from flask.typing import ResponseReturnValue
from flask_login import LoginManager
from jinja2 import StrictUndefined
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import MapAdapter

from portal import accounts, api, businesses, clients, consents, csrf, db, demo, errors, funds, health, logs, oauth, web
from portal.accounts import sessions
from portal.commands import Later
from portal.config import Settings
from portal.consents.catalogue import CATALOGUE
from portal.crypto import Keyring
from portal.oauth.keys import ALGORITHMS

ROOT = Path(__file__).resolve().parent.parent
STATIC_SECONDS = 31536000


class Portal(Flask):
    """A Flask with the portal's settings and keys, and one transaction per request."""

    settings: Settings
    keyring: Keyring

    def dispatch_request(self) -> ResponseReturnValue:
        """Return keeps, raise undoes: what the view wrote is committed when it returns, before the answer is sent."""
        answer = super().dispatch_request()
        db.commit()
        return answer

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Routes go by method and path alone: there is one host, which `web` holds every request to, and nothing above "/".

        Flask makes two adapters for each request. The one for outside of any is always the same.
        """
        if request is None:
            return self._outside_requests
        environ, host = request.environ, self.settings.host
        return MapAdapter(
            self.url_map, host, "/", "", request.scheme, request.path, request.method, environ.get("QUERY_STRING", "")
        )

    @cached_property
    def _outside_requests(self) -> MapAdapter | None:
        return super().create_url_adapter(None)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Nothing here is async, and Flask would look into each function anew for every request."""
        return func


def create_app(settings: Settings | None = None) -> Portal:
    """The application for these settings, or for those of the environment. Raises SettingsError on insecure ones."""
    settings = settings or Settings.from_environment(os.environ)
    app = Portal(
        __name__,
        root_path=str(ROOT),
        instance_path=str(ROOT / "instance"),
        static_folder="static",
        template_folder="templates",
    )

    # the ground floor: settings, keys, database, logs
    app.settings = settings
    app.keyring = Keyring(settings.secret_key)
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SERVER_NAME=settings.host,
        PREFERRED_URL_SCHEME="https" if settings.is_https else "http",
        SEND_FILE_MAX_AGE_DEFAULT=STATIC_SECONDS,
        MAX_CONTENT_LENGTH=web.BODY_BYTES,
        MAX_FORM_PARTS=500,
        WTF_CSRF_TIME_LIMIT=None,  # the token lives and dies with the session
        WTF_CSRF_SSL_STRICT=False,  # it would need a referrer, which Referrer-Policy withholds; SameSite and the token stand
        TESTING=settings.mode == "test",
        PROPAGATE_EXCEPTIONS=False,
    )
    app.url_map.merge_slashes = False  # /funds//members is a client’s mistake, not the fund “members”
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.extensions["portal-database"] = db.Database(settings)
    app.teardown_appcontext(db.close)
    app.cli.add_command(Later("db", "portal.schema:group", help="The database schema."))
    logs.init_logs(settings)

    # what a request meets first
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    web.init_app(app)
    errors.init_app(app)
    sessions.init_app(app)
    login = LoginManager(app)
    login.session_protection = None  # the session is bound by its own opaque id, renewed at each change of privilege
    login.request_loader(sessions.load_current_user)
    # Nobody is remembered beyond their session, and looking for such a cookie would load the session of every request.
    app.after_request_funcs[None].remove(login._update_remember_cookie)
    guard = csrf.guard_forms(app)

    # the rooms, bottom to top
    health.init_app(app)
    app.cli.add_command(Later("check", "portal.check:check_command", help="Look whether this portal is fit for production."))
    accounts.init_app(app, login)
    businesses.init_app(app)
    clients.init_app(app, scopes=tuple(CATALOGUE), signing_algorithms=ALGORITHMS)
    consents.init_app(app)
    oauth.init_app(app, guard)
    funds.init_app(app)
    api.init_app(app, guard)
    demo.init_app(app)
    return app
