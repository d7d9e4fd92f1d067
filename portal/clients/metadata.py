"""What a registration must be: the members of RFC 7591 §2 and a few of our own, checked whole before anything is stored.

RFC 7591 has a server ignore members that it does not know. That is for an endpoint which strangers call; here an
operator calls a command, and a misspelt `required_scopes` that is silently lost would weaken what people are shown. So
what is not known is a mistake, and so is what is known and not done here, each with its reason.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portal.accounts.users import normalise_email
from portal.clients import addresses, names, public_keys
from portal.clients.models import AUTHENTICATION_METHODS

Document = Mapping[str, Any]

MAX_BYTES = 100_000
MAX_ITEMS = 20
CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{2,63}")
LOGO = re.compile(r"logos/[A-Za-z0-9_-][A-Za-z0-9._-]*\.(?:svg|png|webp|jpg)")
GRANT_TYPES = ("authorization_code", "refresh_token")
MEMBERS = (
    "client_id client_name publisher client_uri policy_uri tos_uri logo application_type token_endpoint_auth_method jwks "
    "redirect_uris post_logout_redirect_uris scope required_scopes scope_reasons id_token_signed_response_alg "
    "grant_types response_types contacts"
).split()
NOT_DONE = {
    "client_secret": "secrets are made here and shown once",
    "jwks_uri": "nothing is ever fetched; give the public keys by value in jwks",
    "logo_uri": "logos come from our own origin; put the file below static/logos and name it in logo",
    "request_uris": "request objects are not fetched; use pushed authorization requests",
    "sector_identifier_uri": "nothing is ever fetched",
    "software_statement": "software statements are not checked here",
    "is_resource_server": "give the flag --resource-server, so that no partner’s own document can ask for it",
}


class RegistrationError(ValueError):
    """A registration that is not stored. `mistakes` has one sentence for each."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


@dataclass(frozen=True)
class Rules:
    """What a registration is held to that this room cannot know: the scopes there are, and what stands where."""

    scopes: tuple[str, ...]
    """Every scope of the catalogue, in its order."""
    signing_algorithms: tuple[str, ...]
    """What ID tokens can be signed with; the first is for clients that do not say."""
    static: Path
    brand: str
    is_production: bool


def read(raw: bytes) -> dict[str, Any]:
    """The JSON object in `raw`. Raises RegistrationError for anything else, a member that comes twice included."""
    if len(raw) > MAX_BYTES:
        raise RegistrationError([f"the document is longer than {MAX_BYTES} bytes"])
    try:
        document = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise RegistrationError([f"the document is not JSON that can be read ({error})"]) from None
    if not isinstance(document, dict):
        raise RegistrationError(["the document is not a JSON object"])
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member comes twice")
    return members


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def check(document: Document, rules: Rules, *, resource_server: bool = False) -> dict[str, Any]:
    """The columns of the client that `document` describes. Raises RegistrationError naming every mistake at once."""
    given = {name: value for name, value in document.items() if value is not None}
    application = Application(given, rules, resource_server)
    values = application.read()
    if application.mistakes:
        raise RegistrationError(application.mistakes)
    return values


def _contact_fault(text: str) -> str | None:
    is_address = text.isprintable() and text == text.strip() and normalise_email(text) is not None
    return None if is_address else "is not an e-mail address"


class Application:
    """One document while it is read. Each step takes members out of it, and notes what is wrong with them."""

    def __init__(self, given: dict[str, Any], rules: Rules, resource_server: bool) -> None:
        self.given = given
        self.rules = rules
        self.resource_server = resource_server
        self.mistakes: list[str] = []

    def read(self) -> dict[str, Any]:
        self._check_members()
        return {
            **self._names(),
            **self._sites(),
            "logo": self._logo(),
            **self._authentication(),
            **self._redirects(),
            **self._scopes(),
            "id_token_signed_response_alg": self._choice("id_token_signed_response_alg", self.rules.signing_algorithms),
            "contacts": self._list("contacts", _contact_fault),
            "is_resource_server": self.resource_server,
        }

    def wrong(self, name: str, fault: str) -> None:
        self.mistakes.append(f"{name} {fault}")

    def _check_members(self) -> None:
        for name in self.given:
            if name in NOT_DONE:
                self.wrong(name, f"is not taken: {NOT_DONE[name]}")
            elif name not in MEMBERS:
                meant = difflib.get_close_matches(name, MEMBERS, n=1)
                self.wrong(f"{name[:60]!r}", "is not a member that is known here" + (f"; is {meant[0]} meant?" if meant else ""))
        client_id = self.given.get("client_id", "abc")
        if not isinstance(client_id, str) or not CLIENT_ID.fullmatch(client_id):
            self.wrong(
                "client_id", "must be 3 to 64 letters, digits, dots, hyphens, underscores or tildes; leave it out to get one"
            )

    def _names(self) -> dict[str, Any]:
        for name in ("client_name", "publisher"):
            fault = names.find_name_fault(self.given.get(name))
            if fault is not None:
                self.wrong(name, fault)
            elif names.is_among(self.given[name], [self.rules.brand]):
                self.wrong(name, "would be taken for this portal itself")
        return {name: self.given.get(name) for name in ("client_name", "publisher")}

    def _sites(self) -> dict[str, Any]:
        sites = ("client_uri", "policy_uri", "tos_uri")
        for name in sites:
            if name in self.given:
                fault = addresses.find_site_fault(self.given[name], loopback=not self.rules.is_production)
                if fault is not None:
                    self.wrong(name, fault)
        return {name: self.given.get(name) for name in sites}

    def _logo(self) -> Any:
        logo = self.given.get("logo")
        if logo is None:
            return None
        if not isinstance(logo, str) or not LOGO.fullmatch(logo):
            self.wrong("logo", "must be logos/NAME with the ending svg, png, webp or jpg, a file below static/")
        elif not (self.rules.static / logo).resolve().is_relative_to(self.rules.static.resolve()):
            self.wrong("logo", "leads out of static/")
        elif not (self.rules.static / logo).is_file():
            self.wrong("logo", "names a file that is not below static/")
        return logo

    def _authentication(self) -> dict[str, Any]:
        kind = self._choice("application_type", ("web", "native"))
        method = self._choice("token_endpoint_auth_method", AUTHENTICATION_METHODS)
        if kind == "native" and method != "none":
            self.wrong(
                "token_endpoint_auth_method", "must be none for a native application, which can keep no secret (RFC 8252 §8.5)"
            )
        if self.resource_server and method == "none":
            self.wrong(
                "token_endpoint_auth_method", "must not be none for a resource server: anyone could introspect every token"
            )
        jwks = self.given.get("jwks")
        if method == "private_key_jwt" or jwks is not None:
            jwks = self._jwks(method, jwks)
        return {"application_type": kind, "token_endpoint_auth_method": method, "jwks": jwks}

    def _jwks(self, method: str, jwks: Any) -> dict[str, Any] | None:
        if method != "private_key_jwt":
            self.wrong("jwks", "is only for the token_endpoint_auth_method private_key_jwt")
            return None
        try:
            return public_keys.read(jwks)
        except public_keys.KeyFaultError as fault:
            self.wrong("jwks", str(fault))
            return None

    def _redirects(self) -> dict[str, Any]:
        lists = {
            "redirect_uris": self._list("redirect_uris", self._redirect_fault),
            "post_logout_redirect_uris": self._list("post_logout_redirect_uris", addresses.find_redirect_fault),
        }
        if not lists["redirect_uris"] and not self.resource_server and not self.given.get("redirect_uris"):
            self.wrong("redirect_uris", "must name at least one address to return to")
        return lists

    def _redirect_fault(self, uri: str) -> str | None:
        fault = addresses.find_redirect_fault(uri)
        if fault is None and uri.startswith("http://") and self._is_public_web():
            return (
                "must use https for a web application without authentication: any program on the person’s machine could "
                "take the code (RFC 8252 §8.6). Register it as native (application_type), and the person is asked each time"
            )
        return fault

    def _is_public_web(self) -> bool:
        return self.given.get("application_type", "web") == "web" and self.given.get("token_endpoint_auth_method") == "none"

    def _scopes(self) -> dict[str, Any]:
        scopes = self._scope()
        required = self._list("required_scopes", lambda name: None if name in scopes else "is not among the scopes of scope")
        reasons = self.given.get("scope_reasons", {})
        if not isinstance(reasons, dict):
            self.wrong("scope_reasons", "must be an object of scope to reason")
            reasons = {}
        for name, reason in reasons.items():
            fault = names.find_fault(reason, longest=names.MAX_REASON_LENGTH)
            if name not in scopes:
                fault = "is not among the scopes of scope"
            if fault is not None:
                self.wrong(f"scope_reasons: {name[:60]!r}", fault)
        self._grants(scopes)
        in_order = [name for name in self.rules.scopes if name in scopes]
        return {
            "scope": " ".join(in_order),
            "required_scopes": [name for name in in_order if name in required],
            "scope_reasons": {name: reasons[name] for name in in_order if name in reasons},
        }

    def _scope(self) -> list[str]:
        text = self.given.get("scope", "")
        scopes = text.split(" ") if isinstance(text, str) and text else []
        unknown = [name for name in scopes if name not in self.rules.scopes]
        if not isinstance(text, str) or (not scopes and not self.resource_server):
            self.wrong("scope", "must name at least one scope, several separated by single spaces")
        elif unknown:
            named = ", ".join(repr(name[:60]) for name in unknown[:5])
            self.wrong("scope", f"names what is no scope: {named}. There are {' '.join(self.rules.scopes)}")
        elif len(set(scopes)) < len(scopes):
            self.wrong("scope", "names a scope twice")
        return scopes

    def _grants(self, scopes: list[str]) -> None:
        """Not stored: there is one way to be sent a code, and `offline_access` decides whether a refresh token comes of it."""
        grants = self._list("grant_types", lambda name: None if name in GRANT_TYPES else f"is not {' or '.join(GRANT_TYPES)}")
        if grants and "authorization_code" not in grants:
            self.wrong("grant_types", "must include authorization_code")
        if grants and "refresh_token" not in grants and "offline_access" in scopes:
            self.wrong("grant_types", "must include refresh_token when scope includes offline_access")
        self._list("response_types", lambda name: None if name == "code" else "is not code")

    def _choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of `choices`; the first when nothing is said."""
        value = self.given.get(name, choices[0])
        if value not in choices:
            self.wrong(name, f"must be one of {', '.join(choices)}")
            return choices[0]
        return str(value)

    def _list(self, name: str, find_fault: Callable[[str], str | None]) -> list[str]:
        """The texts of a list, empty when nothing is said; one with a fault is noted by its place."""
        values = self.given.get(name, [])
        if not isinstance(values, list) or len(values) > MAX_ITEMS or not all(isinstance(value, str) for value in values):
            self.wrong(name, f"must be a list of at most {MAX_ITEMS} texts")
            return []
        for number, value in enumerate(values, start=1):
            fault = find_fault(value)
            if fault is not None:
                self.wrong(f"{name}: number {number}", fault)
        if len(set(values)) < len(values):
            self.wrong(name, "names the same twice")
        return list(values)
