"""The authorization request (RFC 6749 §4.1.1, RFC 7636 §4.3, OIDC Core §3.1.2.1): read exactly, checked in order.

What is wrong with the client or the redirect URI is a page and never a redirect; all that comes after goes back to the
client with its `state`. Parameters are read from the raw query, so that `state` returns byte for byte.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError, InvalidScopeError, UnsupportedResponseTypeError
from sqlalchemy import bindparam, select

from portal.clients.models import Client
from portal.consents import catalogue
from portal.db import table_of

MAX_PARAMETER_LENGTH = 8192
MAX_SCOPES = 50
RESPONSE_MODES = ("query", "form_post")
PROMPTS = ("none", "login", "consent", "select_account")
CODE_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
KNOWN = frozenset(
    "client_id redirect_uri response_type response_mode scope state nonce code_challenge code_challenge_method prompt "
    "max_age acr_values id_token_hint login_hint ui_locales claims business_id".split()
)
"""Parameters that mean something here; others are ignored, as RFC 6749 §3.1 says."""

FIND_CLIENT = select(table_of(Client)).where(table_of(Client).c.client_id == bindparam("client_id"))


class PageError(Exception):
    """The client or its redirect URI cannot be trusted, so the person is told here and nobody is sent anywhere."""

    def __init__(self, message: str, *, detail: str) -> None:
        super().__init__(detail)
        self.message = message
        self.detail = detail


class RequestNotSupportedError(OAuth2Error):  # type: ignore[misc]
    error = "request_not_supported"


class RequestUriNotSupportedError(OAuth2Error):  # type: ignore[misc]
    error = "request_uri_not_supported"


class RegistrationNotSupportedError(OAuth2Error):  # type: ignore[misc]
    error = "registration_not_supported"


@dataclass(frozen=True)
class Refusal(Exception):
    """An error that goes back to the client, with everything its redirect needs."""

    error: OAuth2Error
    redirect_uri: str
    response_mode: str
    state: str | None


@dataclass(frozen=True)
class AuthorizationRequest:
    """A request that passed every check. `state` may hold surrogate escapes for bytes that are not UTF-8."""

    client_id: str
    redirect_uri: str
    scope: tuple[str, ...]
    code_challenge: str
    response_mode: str = "query"
    state: str | None = None
    nonce: str | None = None
    prompt: frozenset[str] = frozenset()
    max_age: int | None = None
    acr_values: tuple[str, ...] = ()
    essential_acr: tuple[str, ...] = ()
    id_token_hint: str | None = None
    expected_sub: str | None = None
    login_hint: str | None = None
    business_id: str | None = None
    given: dict[str, str] = field(default_factory=dict)
    """The parameters as they came."""

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters, percent-encoded, so that they can be parked as JSON and read again."""
        return park(self.given)


def read_query(raw: bytes) -> list[tuple[str, str]]:
    """The parameters of a query string or form body, in order, undecodable bytes kept as surrogate escapes."""
    text = raw.decode("utf-8", "surrogateescape")
    return parse_qsl(text, keep_blank_values=True, encoding="utf-8", errors="surrogateescape", max_num_fields=200)


def park(parameters: dict[str, str]) -> dict[str, str]:
    """Parameters in pure ASCII, for JSON on any database."""
    return {name: quote(value, safe="", errors="surrogateescape") for name, value in parameters.items() if name in KNOWN}


def unpark(parked: dict[str, str]) -> dict[str, str]:
    return {name: unquote(value, errors="surrogateescape") for name, value in parked.items()}


def single(pairs: Iterable[tuple[str, str]]) -> tuple[dict[str, str], set[str]]:
    """Parameters by name, and the names that came more than once."""
    values: dict[str, str] = {}
    repeated: set[str] = set()
    for name, value in pairs:
        if name in values:
            repeated.add(name)
        values.setdefault(name, value)
    return values, repeated


def check_client(client: Any, parameters: dict[str, str], repeated: set[str]) -> str:
    """The redirect URI that may be answered to. Raises PageError for anything wrong with client or redirect URI."""
    if {"client_id", "redirect_uri"} & repeated:
        raise PageError(
            "The application sent its request in a way that cannot be trusted.", detail="repeated client_id or redirect_uri"
        )
    if client is None or client.disabled_at is not None:
        raise PageError(
            "The application that sent you here is not registered with this portal, or was stopped.", detail="unknown client"
        )
    redirect_uri = parameters.get("redirect_uri")
    if not redirect_uri or not redirect_uri_matches(client, redirect_uri):
        raise PageError(
            "The application asked to return to an address that is not registered for it.", detail="redirect_uri not registered"
        )
    return redirect_uri


def redirect_uri_matches(client: Any, presented: str) -> bool:
    """Equal as a string to a registered one (RFC 9700 §2.1); a native loopback one may differ in its port (RFC 8252 §7.3)."""
    if presented in client.redirect_uris:
        return True
    if client.application_type != "native" or not presented.isascii():
        return False
    without_port = _loopback_without_port(presented)
    return without_port is not None and any(without_port == _loopback_without_port(uri) for uri in client.redirect_uris)


def _loopback_without_port(uri: str) -> str | None:
    match = re.fullmatch(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::(\d{1,5}))?(/[^\s#\\]*)?", uri)
    if match is None or (match[2] and not 0 < int(match[2]) < 65536):
        return None
    return match[1] + (match[3] or "")


def return_origin(redirect_uri: str) -> str:
    """Scheme, host and port of a redirect URI, as a Content Security Policy names them."""
    parts = urlsplit(redirect_uri)
    if ":" in (parts.hostname or ""):
        return f"{parts.scheme}:"  # CSP3 §2.3.1: there is no way to name an IPv6 address
    return f"{parts.scheme}://{parts.netloc}"


def return_host(redirect_uri: str) -> str:
    """The host that people are shown; `this device` for a loopback address of a native application."""
    host = urlsplit(redirect_uri).hostname or ""
    try:
        return f"{host} (this device)" if ipaddress.ip_address(host).is_loopback else host
    except ValueError:
        return host


def check(client: Any, parameters: dict[str, str], repeated: set[str]) -> AuthorizationRequest:
    """Every check after the client's, in this order. Raises PageError or Refusal."""
    redirect_uri = check_client(client, parameters, repeated)
    # RFC 6749 §3.1: a parameter without a value is as one that was not sent; the state goes back as it came all the same.
    parameters = {name: value for name, value in parameters.items() if value or name == "state"}
    mode = parameters.get("response_mode", "query")
    state = None if "state" in repeated else parameters.get("state")
    try:
        _check_form(parameters, repeated)
        _check_response(parameters, mode)
        return AuthorizationRequest(
            client_id=client.client_id,
            redirect_uri=redirect_uri,
            response_mode=mode,
            state=state,
            scope=_scope(client, parameters),
            code_challenge=_code_challenge(parameters),
            nonce=parameters.get("nonce"),
            prompt=_prompt(parameters),
            max_age=_max_age(parameters),
            acr_values=tuple(parameters.get("acr_values", "").split()),
            id_token_hint=parameters.get("id_token_hint"),
            login_hint=parameters.get("login_hint"),
            business_id=parameters.get("business_id"),
            given=parameters,
            **_claims(parameters),
        )
    except OAuth2Error as error:
        safe_mode = mode if mode in RESPONSE_MODES and _can_carry(mode, state) else "query"
        raise Refusal(error, redirect_uri, safe_mode, state) from error


def _check_form(parameters: dict[str, str], repeated: set[str]) -> None:
    if repeated:
        raise InvalidRequestError("A parameter is repeated.")
    for name, value in parameters.items():
        if name not in KNOWN:
            continue
        if len(value) > MAX_PARAMETER_LENGTH or (name != "state" and not _is_clean(value)):
            raise InvalidRequestError(f"The parameter {name} is malformed.")
    if "request" in parameters:
        raise RequestNotSupportedError("Request objects are not supported.")
    if "request_uri" in parameters:
        raise RequestUriNotSupportedError("Only a request_uri from the pushed authorization request endpoint is supported.")
    if "registration" in parameters:
        raise RegistrationNotSupportedError("Registration within a request is not supported.")


def _check_response(parameters: dict[str, str], mode: str) -> None:
    if mode not in RESPONSE_MODES:
        raise InvalidRequestError("The response_mode must be query or form_post.")
    if not _can_carry(mode, parameters.get("state")):
        raise InvalidRequestError("The state holds what a form cannot carry; use the response_mode query.")
    response_type = parameters.get("response_type")
    if not response_type:
        raise InvalidRequestError("The parameter response_type is missing.")
    if response_type != "code":
        raise OtherResponseTypeError("Only the response_type code is supported.")


class OtherResponseTypeError(OAuth2Error):  # type: ignore[misc]
    """Authlib's own puts the value it was sent into the description, which breaks on a quote."""

    error = UnsupportedResponseTypeError.error


def _can_carry(mode: str, state: str | None) -> bool:
    """A form changes line ends and has no NUL and no bytes that are not UTF-8; a query carries everything."""
    return mode != "form_post" or state is None or (_is_clean(state) and not {"\r", "\n"} & set(state))


def _is_clean(value: str) -> bool:
    """No NUL and no bytes that were not UTF-8."""
    return "\x00" not in value and (value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value))


def _scope(client: Any, parameters: dict[str, str]) -> tuple[str, ...]:
    """The scopes asked for, in catalogue order. Empty, unknown and not allowed are all invalid_scope (RFC 6749 §3.3)."""
    wanted = parameters.get("scope", "").split(" ")
    wanted = [name for name in wanted if name]
    if not wanted or len(wanted) > MAX_SCOPES:
        raise InvalidScopeError("Name at least one scope.")
    if set(wanted) - set(client.scope.split()) or catalogue.unknown(wanted):
        raise InvalidScopeError("The application may not ask for a scope that it named.")
    return tuple(catalogue.in_order(wanted))


def _code_challenge(parameters: dict[str, str]) -> str:
    """PKCE with S256 for every client (RFC 9700 §2.1.1); `plain` and a missing method are refused."""
    challenge, method = parameters.get("code_challenge", ""), parameters.get("code_challenge_method")
    if not challenge:
        raise InvalidRequestError("The parameter code_challenge is missing.")
    if method != "S256":
        raise InvalidRequestError("The code_challenge_method must be S256.")
    if not CODE_CHALLENGE.fullmatch(challenge):
        raise InvalidRequestError("The code_challenge is not the BASE64URL of a SHA-256.")
    return challenge


def _prompt(parameters: dict[str, str]) -> frozenset[str]:
    prompts = frozenset(parameters.get("prompt", "").split())
    if prompts - set(PROMPTS):
        raise InvalidRequestError("The prompt holds a value that is not known.")
    if "none" in prompts and len(prompts) > 1:
        raise InvalidRequestError("The prompt none stands alone.")
    return prompts


def _max_age(parameters: dict[str, str]) -> int | None:
    text = parameters.get("max_age")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidRequestError("The max_age must be a whole number of seconds.")
    return int(text)


def _claims(parameters: dict[str, str]) -> dict[str, Any]:
    """What of the `claims` parameter binds us (OIDC Core §5.5): an essential acr, and a sub that must be the person."""
    text = parameters.get("claims")
    if text is None:
        return {}
    try:
        claims = json.loads(text)
        wanted = claims.get("id_token") or {}
        acr, sub = wanted.get("acr") or {}, wanted.get("sub") or {}
        values = acr.get("values") or ([acr["value"]] if "value" in acr else [])
        if (
            not isinstance(values, list)
            or not all(isinstance(value, str) for value in values)
            or not isinstance(sub.get("value", ""), str)
        ):
            raise ValueError("values are strings")
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise InvalidRequestError("The claims parameter is not a claims request.") from None
    return {"essential_acr": tuple(values) if acr.get("essential") else (), "expected_sub": sub.get("value")}
