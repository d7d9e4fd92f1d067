"""The counterpart of the sample partner: a small authorization server and API that keeps the rules, until a test bends one."""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from flask import Flask, Response, jsonify, redirect, request
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from werkzeug.serving import WSGIRequestHandler, make_server

CLIENT_ID, CLIENT_SECRET = "ledgerly-demo", "ledgerly-demo-secret-for-local-use-only"
BUSINESS = {"business_id": "01bus", "business_name": "Acme Super Services", "consent_id": "01consent"}
CONSENT_EXPIRES_AT = 1_800_000_000
FUND = {
    "id": "01fund", "code": "THOR01", "name": "Thornbury & Sons Superannuation Fund", "status": "active", "tags": ["audit"],
    "latest_period_update": "2026-06-30", "legal_entity_type": "Self-managed superannuation fund", "abn": "51824753556",
}  # fmt: skip
ADDRESS = {
    "street_address": "1 Quay Street",
    "locality": "Sydney",
    "region": "NSW",
    "postal_code": "2000",
    "country": "Australia",
}
MEMBER = {
    "id": "01member", "given_name": "Ida", "family_name": "Thornbury", "date_of_birth": "1960-02-03", "joined_on": "2001-07-01",
    "phase": "pension", "balance": "1418250.75",
}  # fmt: skip
USER = {
    "given_name": "Bob", "middle_name": None, "family_name": "Tran", "email": "bob@acme.example", "role": "Fund Auditor",
    "scopes_granted": [], "invitation_status": "accepted",
}  # fmt: skip
CALLS = {
    "/funds": ("funds.summary", {"data": [FUND], "next_cursor": "c2"}),
    "/funds/01fund": ("funds.basic", {**FUND, "address": ADDRESS}),
    "/funds/01fund/members": ("members.read", {"data": [MEMBER]}),
    "/business/users": ("business.read", {"data": [USER]}),
}
Answer = Callable[[], Any]


@dataclass
class Asked:
    """One request that reached the server."""

    method: str
    path: str
    query: dict[str, str]
    form: dict[str, str]
    authorization: str


@dataclass
class Authority:
    """Everything a test may look at or bend; `reset` makes it honest again."""

    url: str = ""
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"use": "sig"}, auto_kid=True))

    def reset(self) -> None:
        self.asked: list[Asked] = []
        self.codes: dict[str, dict[str, str]] = {}
        self.access: dict[str, dict[str, Any]] = {}
        self.refresh: dict[str, str] = {}
        self.granted: str | None = None
        """What the person ticks; all that is asked for when None."""
        self.answers: dict[str, Answer] = {}
        """Path to what is answered instead."""
        self.returned: Callable[[dict[str, str]], dict[str, str]] = dict
        self.claims: Callable[[dict[str, Any]], dict[str, Any]] = dict
        self.token: Callable[[dict[str, Any]], dict[str, Any]] = dict
        self.sign: Callable[[dict[str, Any]], str] = self.sign_with(self.key)

    def sign_with(self, key: Any, algorithm: str = "ES256", **header: Any) -> Callable[[dict[str, Any]], str]:
        return lambda claims: jwt.encode({"alg": algorithm, "kid": self.key.kid, **header}, claims, key, algorithms=[algorithm])

    def end(self, reason: str) -> None:
        """Every access token is dead for this reason; unless it has only expired, every refresh token too."""
        for row in self.access.values():
            row["dead"] = reason
        if reason != "expired":
            self.refresh = dict.fromkeys(self.refresh, reason)

    def to(self, path: str) -> list[Asked]:
        return [one for one in self.asked if one.path == path]

    @property
    def secrets(self) -> list[str]:
        """Everything that no page, cookie or log may hold."""
        forms = [one.form.get(name, "") for one in self.asked for name in ("code", "code_verifier")]
        return [*self.access, *self.refresh, *filter(None, forms), CLIENT_SECRET]

    # the endpoints

    def metadata(self) -> dict[str, Any]:
        at = {
            "authorization_endpoint": "authorize", "token_endpoint": "token", "revocation_endpoint": "revoke", "jwks_uri": "jwks",
            "userinfo_endpoint": "userinfo", "consents_endpoint": "consents",
        }  # fmt: skip
        return {
            "issuer": self.url,
            **{name: f"{self.url}/oauth/{path}" for name, path in at.items()},
            "response_types_supported": ["code"],
            "id_token_signing_alg_values_supported": ["ES256", "RS256", "HS256"],
            "scopes_supported": ["openid"],
            "authorization_response_iss_parameter_supported": True,
        }

    def authorize(self) -> Any:
        given = request.args
        proper = (
            given["client_id"] == CLIENT_ID and given["response_type"] == "code" and given["redirect_uri"].endswith("/callback")
        )
        if not proper or given["code_challenge_method"] != "S256" or len(given["code_challenge"]) != 43:
            return "This request is not proper.", 400
        code = secrets.token_urlsafe(24)
        self.codes[code] = {**given.to_dict(), "scope": self.granted or given["scope"]}
        members = self.returned({"code": code, "state": given["state"], "iss": self.url})
        return redirect(f"{given['redirect_uri']}?{urlencode(members)}", 303)

    def issue(self, scope: str, nonce: str | None = None) -> dict[str, Any]:
        access = f"access-{secrets.token_urlsafe(24)}"
        self.access[access] = {"scope": scope, "dead": ""}
        body = {"access_token": access, "token_type": "Bearer", "expires_in": 600, "scope": scope, **BUSINESS}
        body["consent_expires_at"] = CONSENT_EXPIRES_AT
        if "offline_access" in scope.split():
            body["refresh_token"] = f"refresh-{secrets.token_urlsafe(24)}"
            self.refresh[body["refresh_token"]] = ""
        if nonce is not None:
            body["id_token"] = self.id_token(access, nonce)
        return self.token(body)

    def id_token(self, access: str, nonce: str) -> str:
        half = base64.urlsafe_b64encode(hashlib.sha256(access.encode()).digest()[:16]).rstrip(b"=").decode()
        now = int(time.time())
        claims = {
            "iss": self.url, "sub": "01alice", "aud": CLIENT_ID, "azp": CLIENT_ID, "iat": now, "exp": now + 600, "nonce": nonce,
            "at_hash": half, "email": "alice@acme.example", "amr": ["pwd", "otp", "mfa"], "auth_time": now,
        }  # fmt: skip
        return self.sign(self.claims(claims))

    def exchange(self) -> Any:
        form = request.form
        if not self.is_client():
            return refusal("invalid_client", 401)
        if form["grant_type"] == "refresh_token":
            return self.rotate(form["refresh_token"], form.get("scope"))
        asked = self.codes.pop(form["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        if asked is None or asked["redirect_uri"] != form["redirect_uri"] or asked["code_challenge"] != challenge:
            return refusal("invalid_grant")
        return self.issue(asked["scope"], asked["nonce"])

    def rotate(self, presented: str, scope: str | None) -> Any:
        dead = self.refresh.pop(presented, "unknown")
        if dead:
            return refusal("invalid_grant", description=dead)
        granted = next(iter(self.access.values()))["scope"]
        if scope is not None and not set(scope.split()) <= set(granted.split()):
            return refusal("invalid_scope")
        return self.issue(granted)

    def call(self, path: str) -> Any:
        row = self.access.get(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if row is None or row["dead"]:
            return challenge(401, error="invalid_token", error_description=row["dead"] if row else "unknown")
        if path == "userinfo":
            return {"sub": "01alice", "name": "Alice Nguyen", "zoneinfo": "Australia/Sydney", "role": "Access Controller"}
        if path not in CALLS:
            return {"title": "No such fund"}, 404
        scope, body = CALLS[path]
        if scope not in row["scope"].split():
            return challenge(403, error="insufficient_scope", error_description="The token does not open this.", scope=scope)
        return body

    def revoke(self) -> Any:
        if not self.is_client():
            return refusal("invalid_client", 401)
        self.refresh.pop(request.form["token"], None)
        return {}

    def end_consent(self) -> Any:
        if not self.is_client():
            return refusal("invalid_client", 401)
        self.end("revoked")
        return Response(status=204)

    def is_client(self) -> bool:
        expected = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        return request.headers.get("Authorization") == f"Basic {expected}" and "client_secret" not in request.form


def refusal(error: str, status: int = 400, description: str = "told") -> Any:
    return jsonify(error=error, error_description=description), status


def challenge(status: int, **members: str) -> Any:
    header = "Bearer " + ", ".join(f'{name}="{value}"' for name, value in members.items())
    return jsonify(title="refused"), status, {"WWW-Authenticate": header}


class Quiet(WSGIRequestHandler):
    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        pass


def serve(port: int = 0) -> tuple[Authority, Callable[[], None]]:
    """A running authority on this machine, and what stops it."""
    authority = Authority()
    authority.reset()
    server = make_server("127.0.0.1", port, _application(authority), threaded=True, request_handler=Quiet)
    authority.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        thread.join()
        server.server_close()

    return authority, stop


def _application(authority: Authority) -> Flask:
    app = Flask("authority")

    @app.before_request
    def note() -> Any:
        header = request.headers.get("Authorization", "")
        asked = Asked(request.method, request.path, request.args.to_dict(), request.form.to_dict(), header)
        authority.asked.append(asked)
        return authority.answers[request.path]() if request.path in authority.answers else None

    app.get("/.well-known/openid-configuration")(authority.metadata)
    app.get("/oauth/jwks", endpoint="jwks")(lambda: KeySet([authority.key]).as_dict())
    app.get("/oauth/authorize", endpoint="authorize")(authority.authorize)
    app.post("/oauth/token", endpoint="token")(authority.exchange)
    app.get("/oauth/userinfo", endpoint="userinfo")(lambda: authority.call("userinfo"))
    app.post("/oauth/revoke", endpoint="revoke")(authority.revoke)
    app.delete("/oauth/consents/<consent_id>", endpoint="consents")(lambda consent_id: authority.end_consent())
    app.get("/api/v1/<path:path>", endpoint="api")(lambda path: authority.call(f"/{path}"))
    return app
