"""The resource server: the JSON API that partners call with an access token (RFC 6750)."""

from typing import cast

from flask import Blueprint, Flask, Response
from flask_wtf import CSRFProtect

from portal.api import endpoints, limits, openapi, registry
from portal.config import Settings

__all__ = ["endpoints", "init_app"]


def init_app(app: Flask, csrf: CSRFProtect) -> None:
    """Register this room's endpoints: those of the table behind the guard, and the description open to all."""
    api = Blueprint("api", __name__, url_prefix=openapi.PREFIX)
    csrf.exempt(api)
    settings = cast(Settings, app.settings)  # type: ignore[attr-defined]

    def openapi_json() -> Response:
        return registry.answer(openapi.describe(settings))

    def never_kept(response: Response) -> Response:
        """Answers and refusals alike: a cache must not keep what a token opened."""
        response.headers["Cache-Control"] = "no-store"
        return response

    registry.mount(api)
    api.add_url_rule("/openapi.json", view_func=openapi_json)
    api.after_request(never_kept)
    api.after_request(limits.tell)
    limits.init_app(app)
    app.register_blueprint(api)
