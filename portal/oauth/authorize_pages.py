"""The authorization endpoint as browsers meet it, and the way back into it from the pages of the corridor."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import quote_from_bytes

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError
from flask import Blueprint, current_app, request, url_for
from werkzeug import Response

from portal import db, interaction, web
from portal.accounts import sessions
from portal.clients.models import Client
from portal.config import Settings
from portal.errors import BadRequest, Gone
from portal.interaction import Interaction
from portal.oauth import answer, authorize, id_token, pushed, renewal
from portal.oauth import request as requests
from portal.oauth.authorize import AnsweredError, Situation
from portal.oauth.request import AuthorizationRequest, PageError, Refusal

bp = Blueprint("authorize", __name__)

MAX_REQUEST_BYTES = 16384
NOT_TRUSTED = "The link to this page cannot be trusted"


@bp.get("/oauth/authorize", head=False)
def endpoint() -> Response:
    """A partner asks for access: straight back with a code or an error, or on to the page that is needed first."""
    parameters, repeated = _parameters()
    if not repeated and pushed.is_pushed(parameters.get("request_uri")):
        parameters = _claim_pushed(parameters)
    elif not repeated:
        renewed = _renew(parameters)
        if renewed is not None:
            return renewed
    client = _find_client(parameters, repeated)
    try:
        asked = requests.check(client, parameters, repeated)
    except PageError as error:
        raise _as_page(error) from None
    except Refusal as refusal:
        return answer.with_refusal(refusal, client_id=parameters["client_id"], issuer=_settings().issuer)
    return _proceed(asked, cast(Client, client), None)


def _renew(parameters: dict[str, str]) -> Response | None:
    """The short way, where it leads to a code."""
    settings = _settings()
    secret = request.cookies.get(sessions.cookie_name(settings)) if parameters.get("prompt") == "none" else None
    if secret is None:
        return None
    with db.reader() as connection:
        renewed = renewal.renew(connection, settings, parameters, secret=secret, now=db.utcnow())
    return None if renewed is None else answer.with_code(*renewed, issuer=settings.issuer)


@bp.post("/oauth/authorize")
def endpoint_by_form() -> Response:
    """The same sent as a form (OIDC Core §3.1.2.1). Browsers keep our cookie from a form of another site, so it is asked again by link."""
    if request.query_string or request.mimetype != "application/x-www-form-urlencoded":
        raise BadRequest("The application sent its request in a form that cannot be read. Nothing was shared.", title=NOT_TRUSTED)
    query = quote_from_bytes(web.whole_body(request), safe="%!$&'()*+,-./:;=?@_~")
    if len(query) > MAX_REQUEST_BYTES:
        raise _too_long()
    return web.see_other(f"{url_for('authorize.endpoint')}?{query}")


@bp.get("/connect/continue", head=False)
def resume() -> Response:
    """The person did what a page of the corridor asked: on to the next page, or back to the partner."""
    row = sessions.current()
    parked = interaction.find(db.session, request.args.get("interaction"), session_id=row.id if row else None, now=db.utcnow())
    client = db.session.get(Client, parked.client_id) if parked is not None else None
    if parked is None or client is None or not client.is_active:
        raise Gone
    try:
        asked = requests.check(client, requests.unpark(parked.parameters), set())
    except PageError as error:
        raise _as_page(error) from None
    except Refusal as refusal:  # the registration was changed meanwhile
        interaction.spend(db.session, parked, now=db.utcnow())
        return answer.with_refusal(refusal, client_id=client.client_id, issuer=_settings().issuer)
    return _proceed(asked, client, parked)


def _proceed(asked: AuthorizationRequest, client: Client, parked: Interaction | None) -> Response:
    """Ask the table of prompts; then conclude, or go to the page it names."""
    situation = Situation(db.session, _settings(), asked, client, sessions.current(), parked, db.utcnow())
    try:
        situation.hinted_sub = _hinted_sub(asked)
        prompt = authorize.next_prompt(situation)
        if prompt is None:
            code = authorize.conclude(situation)
            return answer.with_code(asked, code, issuer=_settings().issuer)
    except OAuth2Error as error:
        if parked is not None:
            interaction.spend(db.session, parked, now=situation.now)
        return answer.with_error(asked, error, issuer=_settings().issuer)
    except AnsweredError:
        raise Gone from None
    if parked is None:
        situation.browser_session = sessions.here().ensure()
        parked = authorize.park(situation, asking=_asking(asked, client))
    return web.see_other(url_for(prompt.endpoint, interaction=parked.id))


def _hinted_sub(asked: AuthorizationRequest) -> str | None:
    """The person whom the id_token_hint names (OIDC Core §3.1.2.1). Raises InvalidRequestError unless we gave it to this client."""
    if asked.id_token_hint is None:
        return None
    claims = id_token.read_hint(db.session, _settings().issuer, asked.id_token_hint)
    if claims is None or claims["aud"] != asked.client_id:
        raise InvalidRequestError("The id_token_hint is not an ID token that this client was given here.")
    return str(claims["sub"])


def _asking(asked: AuthorizationRequest, client: Client) -> dict[str, Any]:
    """Who asks for what, as the pages tell it."""
    return {
        "client_name": client.client_name,
        "publisher": client.publisher,
        "client_uri": client.client_uri,
        "logo": client.logo,
        "return_host": requests.return_host(asked.redirect_uri),
        "return_origin": requests.return_origin(asked.redirect_uri),
        "redirect_uri": asked.redirect_uri,
        "scopes": list(asked.scope),
    }


def _parameters() -> tuple[dict[str, str], set[str]]:
    if len(request.query_string) > MAX_REQUEST_BYTES:
        raise _too_long()
    try:
        return requests.single(requests.read_query(request.query_string))
    except ValueError:  # more fields than anyone needs
        raise _too_long() from None


def _claim_pushed(parameters: dict[str, str]) -> dict[str, str]:
    """What the client pushed, once; nothing that stands beside it counts (RFC 9126 §4, RFC 9101 §5)."""
    presented = parameters["request_uri"], parameters.get("client_id", ""), db.utcnow()
    claimed = pushed.claim(db.session, *presented)
    if claimed is None:
        if pushed.note_replay(db.session, *presented):
            db.commit()  # what is raised undoes the rest
        raise BadRequest(
            "The application’s request is not waiting here: it was opened already, waited too long, or is not its own. "
            "Nothing was shared, and you were not sent anywhere.",
            title="This link has been used, or is too old",
            next_step="Go back to the application and start again.",
            detail="request_uri unknown, spent, expired or another client's",
        )
    return claimed


def _find_client(parameters: dict[str, str], repeated: set[str]) -> Client | None:
    client_id = parameters.get("client_id", "")
    if "client_id" in repeated or not client_id.isprintable() or not client_id.isascii():
        return None
    return db.session.get(Client, client_id)


def _as_page(error: PageError) -> BadRequest:
    return BadRequest(
        f"{error.message} Nothing was shared, and you were not sent anywhere.",
        title=NOT_TRUSTED,
        next_step="Go back to the application and try again. If it happens again, tell the people who make it.",
        detail=error.detail,
    )


def _too_long() -> BadRequest:
    return BadRequest("The application sent more than can be read. Nothing was shared.", title=NOT_TRUSTED, detail="too long")


def _settings() -> Settings:
    return current_app.settings  # type: ignore[attr-defined,no-any-return]
