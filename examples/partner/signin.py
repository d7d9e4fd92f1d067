"""Sign-in with OpenID Connect: the way to the portal, and every check on the way back. Each check names its section.

Authlib sends and reads; what it leaves to the caller is here: the issuer of the metadata, `iss` of the return, `state`
of a returned error, and that there is an ID token for us, signed as we registered.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

import requests
from authlib.integrations.flask_client import OAuthError
from flask import session
from joserfc.errors import JoseError
from werkzeug import Response

import words

SIGNED_WITH = "ES256"  # `id_token_signed_response_alg` of our registration
CLOCK_SKEW_SECONDS = 60
PAUSES_SECONDS = (0.2, 0.6)
log = logging.getLogger("ledgerly")
_discovering = threading.Lock()


def metadata(client: Any, issuer: str) -> dict[str, Any]:
    """The portal's metadata, fetched when first needed and tried again while the portal starts (OIDC Discovery §4)."""
    with _discovering:
        if "_loaded_at" not in client.server_metadata:
            try:
                _load(client)
            except (requests.RequestException, ValueError, TypeError) as error:
                raise words.unreachable(error) from None
            if client.server_metadata.get("issuer") != issuer:  # §4.3: MUST be identical
                client.server_metadata.clear()
                raise words.unreachable(ValueError("the metadata is another issuer's"))
            # OIDC Core §3.1.3.7, step 7: the algorithm is ours, not any that the server can do.
            client.server_metadata["id_token_signing_alg_values_supported"] = [SIGNED_WITH]
    return client.server_metadata


def _load(client: Any) -> None:
    for pause in PAUSES_SECONDS:
        try:
            client.load_server_metadata()
        except requests.Timeout:
            raise
        except requests.ConnectionError:
            time.sleep(pause)
        else:
            return
    client.load_server_metadata()


def begin(client: Any, issuer: str, *, redirect_uri: str, scope: str, ask_again: bool = False) -> Response:
    """Send the browser to the portal (RFC 6749 §4.1.1, OIDC Core §3.1.2.1).

    Authlib makes `state`, `nonce` and the PKCE verifier (RFC 7636 §4.1) and keeps them in our server-side session.
    `ask_again` puts a question that the person answered before: without `prompt=consent` the portal does not.
    """
    metadata(client, issuer)
    session["asked"] = scope
    return client.authorize_redirect(redirect_uri, scope=scope, **({"prompt": "consent"} if ask_again else {}))


def finish(client: Any, issuer: str, returned: Mapping[str, str]) -> dict[str, Any]:
    """The token response for this return, with the checked claims of its ID token as `userinfo`. Raises words.Problem."""
    known = metadata(client, issuer)
    state = returned.get("state", "")
    if client.framework.get_state_data(session, state) is None:  # RFC 6749 §10.12: `state` is ours, and of this browser
        raise words.not_trusted("It does not belong to a connection that this browser began, or it was used before.")
    required = known.get("authorization_response_iss_parameter_supported")
    if returned.get("iss", None if required else issuer) != issuer:  # RFC 9207 §2.4: MUST reject
        client.framework.clear_state_data(session, state)
        raise words.not_trusted("It came from somewhere else than {portal}.", iss=returned.get("iss", "missing"))
    if not returned.get("code"):
        client.framework.clear_state_data(session, state)
        if "error" not in returned:
            raise words.not_trusted("It carried neither a code nor a reason.")
        raise words.returned(returned["error"], returned.get("error_description"))
    return _redeem(client, issuer)


def _redeem(client: Any, issuer: str) -> dict[str, Any]:
    """Code for tokens (RFC 6749 §4.1.3, RFC 7636 §4.5), and the ID token checked (OIDC Core §3.1.3.7)."""
    try:
        token = client.authorize_access_token(claims_options=_id_token_rules(client, issuer), leeway=CLOCK_SKEW_SECONDS)
    except OAuthError as error:
        log.warning("the token endpoint refused the code: %s", error.error)
        raise words.returned(error.error, error.description) from None
    except JoseError as error:
        client.server_metadata.pop("jwks", None)  # should it be the keys that are wrong, the next sign-in fetches them anew
        log.warning("the ID token is not valid: %s", error)
        raise words.not_trusted("The proof of who signed in is not valid.", error=error.error, claim=error.description) from None
    except (requests.RequestException, ValueError, TypeError, KeyError) as error:
        client.server_metadata.pop("jwks", None)
        raise words.unreachable(error) from None
    if "access_token" not in token or not token.get("userinfo"):  # OIDC Core §3.1.3.3: an ID token MUST come with it
        raise words.not_trusted("The proof of who signed in is missing.")
    return token


def _id_token_rules(client: Any, issuer: str) -> dict[str, Any]:
    """What Authlib shall check beside signature, `exp`, `iat`, `nonce` and `azp`. Made anew each time: Authlib empties it."""
    return {
        "iss": {"essential": True, "value": issuer},
        "aud": {"essential": True, "validate": lambda _claims, audience: audience in (client.client_id, [client.client_id])},
        "at_hash": {"essential": True},  # Authlib compares it when it is there
    }
