"""The resource server: the JSON API that partners call with an access token (RFC 6750), and the pages that describe it."""

from typing import cast

from flask import Blueprint, Flask, Response, request
from flask_wtf import CSRFProtect

from portal import web
from portal.api import answers, limits, openapi, pages, registry, uploads
from portal.api import business as _business
from portal.api import documents as _documents
from portal.api import funds as _funds
from portal.api import members as _members
from portal.config import Settings

SUBJECTS = (_funds, _members, _documents, _business)
"""Imported so that their calls are in the table, in this order."""


def init_app(app: Flask, csrf: CSRFProtect) -> None:
    """Register this room's endpoints: those of the table behind the guard, and the description open to all."""
    api = Blueprint("api", __name__, url_prefix=openapi.PREFIX)
    csrf.exempt(api)
    settings = cast(Settings, app.settings)  # type: ignore[attr-defined]

    def openapi_json() -> Response:
        return answers.reading(openapi.describe(settings), request)

    def never_kept(response: Response) -> Response:
        """Answers and refusals alike: a cache must not keep what a token opened."""
        if not isinstance(response, web.WholeAnswer):  # which says so itself
            response.headers["Cache-Control"] = "no-store"
        return response

    registry.mount(api)
    api.add_url_rule("/openapi.json", view_func=openapi_json)
    api.after_request(never_kept)
    api.after_request(limits.tell)
    api.teardown_request(uploads.discard)
    limits.init_app(app)
    app.register_blueprint(api)
    app.register_blueprint(pages.bp)
