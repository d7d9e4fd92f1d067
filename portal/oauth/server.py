"""Authlib's authorization server, with our own client authentication, grants and endpoints in its places.

Authlib reads the request, finds the grant or endpoint, and turns its errors into answers. What a code or token is worth
is decided in `redemption` and `tokens`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import (
    InvalidRequestError,
    OAuth2Payload,
    OAuth2Request,
    TokenEndpoint,
    grants,
)
from flask import Request, Response
from sqlalchemy import Connection
from werkzeug.datastructures import MultiDict

from portal import crypto, web
from portal.clients.models import AUTHENTICATION_METHODS
from portal.config import Settings
from portal.consents import catalogue, usage
from portal.crypto import Keyring
from portal.oauth import bearer, client_authentication, id_token, redemption, tokens
from portal.oauth.keys import KeyStore
from portal.statements import Prepared

PRAGMA = ("Pragma", "no-cache")
"""RFC 6749 §5.1, beside the `Cache-Control` of every answer here."""
BASIC_CHALLENGE = ("WWW-Authenticate", 'Basic realm="portal"')
MAX_PARAMETER_LENGTH = 8192
MAX_PARAMETERS = 200


class BodyPayload(OAuth2Payload):  # type: ignore[misc]
    """The body of a request: the only place where parameters count at machine endpoints."""

    def __init__(self, form: Mapping[str, str]) -> None:
        self._form = form

    @property
    def data(self) -> Mapping[str, str]:
        return self._form

    @property
    def datalist(self) -> Any:
        return {name: [value] for name, value in self._form.items()}


class MachineRequest(OAuth2Request):  # type: ignore[misc]
    """One call of a machine endpoint, with the connection it works on and the time it came.

    `owner` is the row of the code or token that the call is about, looked up first since it brings its client along.
    """

    form: Mapping[str, str] = MappingProxyType({})
    """The parameters of the body, once `read` has taken them in."""

    def __init__(self, request: Request, connection: Connection, *, now: datetime) -> None:
        # Authlib's own constructor refuses plain http; the origin is checked when settings are read.
        self.method, self.headers = request.method, request.headers
        self.client: Any = None
        self.owner: Any = None
        self.auth_method = self.user = self.authorization_code = self.refresh_token = self.credential = None
        self._scope = self._body = None
        self._request = request
        self.payload = BodyPayload(self.form)
        self.connection = connection
        self.now = now

    @property
    def uri(self) -> str:
        return self._request.url

    @property
    def args(self) -> MultiDict[str, str]:
        return self._request.args

    @property
    def authorization(self) -> str | None:
        return bearer.authorization(self._request)

    def read(self) -> None:
        """Take in the parameters. Refuses what is ambiguous before any of it counts: RFC 6749 §3.2, RFC 9700 §2.

        Parameters in the query string would be logged on their way; a repeated one means two things at once.
        """
        if self._request.query_string:
            raise InvalidRequestError("Send parameters in the body, not in the query string.")
        if self._request.mimetype != "application/x-www-form-urlencoded":
            raise InvalidRequestError("The body must be application/x-www-form-urlencoded.")
        try:
            text = web.whole_body(self._request).decode(errors="replace")
            pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
        except ValueError:  # more than anyone needs
            raise InvalidRequestError("There are too many parameters.") from None
        form = dict(pairs)
        if len(form) < len(pairs):
            raise InvalidRequestError("A parameter is repeated.")
        if "%00" in text or "\x00" in text or any(len(value) > MAX_PARAMETER_LENGTH for value in form.values()):
            raise InvalidRequestError("A parameter is malformed.")
        form = {name: value for name, value in form.items() if value}  # sent without a value is not sent (RFC 6749 §3.2)
        self.form, self.payload = form, BodyPayload(form)


class PortalAuthorizationServer(AuthorizationServer):  # type: ignore[misc]
    """The machine side of the protocol: token, introspection and revocation endpoint."""

    def __init__(self, settings: Settings, keyring: Keyring) -> None:
        super().__init__()
        self.settings = settings
        self.keyring = keyring
        self.keys = KeyStore(keyring)
        issuer = settings.issuer
        self.audiences = frozenset({issuer, f"{issuer}/oauth/token", f"{issuer}/oauth/par"})  # RFC 9126 §2
        for grant in (AuthorizationCodeGrant, RefreshTokenGrant):
            self.register_grant(grant)
        for endpoint in (IntrospectionEndpoint, RevocationEndpoint):
            self.register_endpoint(endpoint)

    def create_oauth2_request(self, request: MachineRequest) -> MachineRequest:
        return request

    def handle_response(self, status_code: int, payload: Any, headers: Any) -> Response:
        challenge = [BASIC_CHALLENGE] if status_code == 401 else []
        return web.WholeAnswer(web.encode(payload), status_code, [PRAGMA, *challenge])

    def authenticate_client(self, request: MachineRequest, methods: Any, endpoint: str = "token") -> Any:
        """The row of the one client that authenticates by the method it registered, whatever Authlib's order of methods."""
        client = client_authentication.authenticate(
            request.connection,
            request.authorization,
            request.form,
            audiences=self.audiences,
            now=request.now,
            owner=request.owner,
        )
        request.auth_method = client.token_endpoint_auth_method
        return client

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """No signals: what must be known is in the audit trail."""


class AuthorizationCodeGrant(grants.AuthorizationCodeGrant):  # type: ignore[misc]
    """`grant_type=authorization_code`. Authlib stores tokens before it deletes the code; here one write does both."""

    TOKEN_ENDPOINT_AUTH_METHODS = list(AUTHENTICATION_METHODS)

    def validate_token_request(self) -> None:
        self.request.owner = redemption.find_code(self.request.connection, self.request.form)
        self.request.client = self.authenticate_token_endpoint_client()

    def create_token_response(self) -> tuple[int, dict[str, Any], Any]:
        request: MachineRequest = self.request
        server: PortalAuthorizationServer = self.server
        algorithm = request.client.id_token_signed_response_alg
        # Whatever can still fail comes before the code is spent.
        key = server.keys.signing_key(request.connection, algorithm, now=request.now)
        issued = redemption.redeem_code(
            request.connection,
            server.settings,
            request.owner,
            client_id=request.client.client_id,
            form=request.form,
            now=request.now,
        )
        body = issued.response
        if "openid" in issued.scope.split():
            body["id_token"] = id_token.sign(
                issued.row,
                key=key,
                algorithm=algorithm,
                issuer=server.settings.issuer,
                access_token=issued.access_token,
                seconds=server.settings.id_token_seconds,
                now=request.now,
            )
        return 200, body, ()


class RefreshTokenGrant(grants.RefreshTokenGrant):  # type: ignore[misc]
    """`grant_type=refresh_token`. Rotation and reuse are decided in `redemption.rotate`."""

    TOKEN_ENDPOINT_AUTH_METHODS = list(AUTHENTICATION_METHODS)

    def validate_token_request(self) -> None:
        self.request.owner = redemption.find_refresh(self.request.connection, self.request.form)
        self.request.client = self.authenticate_token_endpoint_client()

    def create_token_response(self) -> tuple[int, dict[str, Any], Any]:
        request: MachineRequest = self.request
        issued = redemption.rotate(
            request.connection,
            self.server.settings,
            self.server.keyring,
            request.owner,
            client_id=request.client.client_id,
            form=request.form,
            now=request.now,
        )
        usage.counter_of(request.connection).count(issued.row.consent_id, catalogue.OFFLINE_ACCESS, now=request.now)
        return 200, issued.response, ()


class IntrospectionEndpoint(TokenEndpoint):  # type: ignore[misc]
    """RFC 7662. For the owner of the token and for resource servers; for all else exactly `{"active": false}`."""

    ENDPOINT_NAME = "introspection"
    CLIENT_AUTH_METHODS = list(AUTHENTICATION_METHODS)

    def __call__(self, request: MachineRequest) -> tuple[int, dict[str, Any], Any]:
        presented = request.form.get("token", "")
        found = find_token(request.connection, presented)
        request.owner = found
        client = self.authenticate_endpoint_client(request)
        redemption.required(request.form, "token")
        return 200, introspect(self.server.settings, client, presented, found, now=request.now), ()


class RevocationEndpoint(TokenEndpoint):  # type: ignore[misc]
    """RFC 7009. A refresh token ends its whole line, an access token only itself; the answer is the same for all."""

    ENDPOINT_NAME = "revocation"
    CLIENT_AUTH_METHODS = list(AUTHENTICATION_METHODS)

    def __call__(self, request: MachineRequest) -> tuple[int, dict[str, Any], Any]:
        presented = request.form.get("token", "")
        request.owner = find_owner(request.connection, presented)
        client = self.authenticate_endpoint_client(request)
        redemption.required(request.form, "token")
        revoke(request.connection, client, presented, request.owner, now=request.now)
        return 200, {}, ()


def find_token(connection: Connection, presented: str) -> Any:
    """The row of an access or refresh token with all its life depends on and its client; None for none."""
    return _find(connection, presented, tokens.FIND_ACCESS_AND_CLIENT, tokens.FIND_REFRESH)


def find_owner(connection: Connection, presented: str) -> Any:
    """The row of an access or refresh token with its client and its place, whether it lives or not; None for none."""
    return _find(connection, presented, tokens.FIND_ACCESS_OWNER, tokens.FIND_REFRESH_OWNER)


def _find(connection: Connection, presented: str, access: Prepared, refresh: Prepared) -> Any:
    if not presented:
        return None
    statement = access if presented.startswith(crypto.ACCESS_TOKEN) else refresh
    return statement.first(connection, digest=crypto.digest(presented))


def introspect(settings: Settings, client: Any, presented: str, row: Any, *, now: datetime) -> dict[str, Any]:
    """What RFC 7662 §2.2 tells of a live token, with the members of the business and the consent. `row` is from `find_token`."""
    inactive: dict[str, Any] = {"active": False}
    if row is None:
        return inactive
    if presented.startswith(crypto.ACCESS_TOKEN):
        found = tokens.look(row, now=now)
        if found.dead_reason is not None:
            return inactive
        allowed, expires_at, kind = found.effective, row.expires_at, {"token_type": "Bearer"}
    else:
        if row.used_at is not None or tokens.ended_reason(row, now=now) is not None:
            return inactive
        allowed, expires_at, kind = tokens.effective(row), row.consent_expires_at, {}
        if catalogue.OFFLINE_ACCESS not in allowed.opened:
            return inactive
    if not (client.is_resource_server or row.client_id == client.client_id):
        return inactive
    return {
        "active": True,
        "scope": allowed.scope,
        "client_id": row.client_id,
        "sub": row.user_id,
        "iss": settings.issuer,
        "iat": int(row.issued_at.timestamp()),
        "exp": int(expires_at.timestamp()),
        **kind,
        "business_id": row.business_id,
        "business_name": row.business_name,
        "consent_id": row.consent_id,
        "consent_expires_at": int(row.consent_expires_at.timestamp()),
    }


def revoke(connection: Connection, client: Any, presented: str, row: Any, *, now: datetime) -> None:
    """End the client's own token; an unknown one, or another client's, is left alone without a word (RFC 7009 §2.2).

    `row` is from `find_owner`.
    """
    if row is None or row.client_id != client.client_id:
        return
    if presented.startswith(crypto.ACCESS_TOKEN):
        tokens.REVOKE_ACCESS.run(connection, presented=crypto.digest(presented), now=now)
    else:
        redemption.end_authorization(connection, row, reason="revoked", kind="authorization.revoked", now=now)


def check_grant_type(request: MachineRequest) -> None:
    """A missing grant_type is invalid_request (RFC 6749 §5.2); Authlib would call it unsupported."""
    redemption.required(request.form, "grant_type")
