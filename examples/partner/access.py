"""Ledgerly's access: calls with the access token, refreshes it when it has run out, and ends it.

A connection is one person's access for one business. Here a browser session holds its id; in your product it belongs
to your customer's record, so that nightly jobs find it too.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import requests
from authlib.integrations.flask_client import OAuthError
from flask import g

import signin
import words
from store import Store

KEPT_SECONDS = 366 * 24 * 3600
MEMBERS = "access_token refresh_token expires_at scope business_id business_name consent_id consent_expires_at".split()
_refreshing = threading.Lock()  # with several processes: a lock on the connection's row


@dataclass
class Connection:
    """`token` is the token response, `who` the ID token's claims and userinfo, `asked` the scopes we asked for."""

    id: str
    token: dict[str, Any]
    who: dict[str, Any]
    asked: str

    @property
    def granted(self) -> list[str]:
        """RFC 6749 §5.1: `scope` is told when it is not what was asked for."""
        return str(self.token.get("scope") or self.asked).split()


class Access:
    def __init__(self, client: Any, issuer: str, store: Store) -> None:
        self.client, self.issuer, self.store = client, issuer, store

    # keeping

    def find(self, connection_id: str | None) -> Connection | None:
        kept = self.store.get(f"connection {connection_id}") if connection_id else None
        return Connection(**kept) if kept else None

    def keep(self, connection: Connection) -> None:
        connection.token = {name: connection.token[name] for name in MEMBERS if name in connection.token}
        self.store.put(f"connection {connection.id}", asdict(connection), time.time() + KEPT_SECONDS)

    def forget(self, connection_id: str) -> None:
        self.store.forget(f"connection {connection_id}")

    # calling

    def call(self, connection: Connection, path: str, **query: Any) -> dict[str, Any]:
        """The JSON object of one API call; refreshes once when the access token has run out. Raises words.Problem."""
        answer = self._send(connection, path, query)
        if answer.status_code == 401 and words.reason(answer) == "expired" and connection.token.get("refresh_token"):
            self.refresh(connection)
            answer = self._send(connection, path, query)
        if not answer.ok:
            raise words.refused(answer)
        try:
            body = answer.json()
        except requests.JSONDecodeError as error:
            raise words.unreachable(error) from None
        if not isinstance(body, dict):
            raise words.unreachable(ValueError("not a JSON object"))
        return body

    def rows(self, connection: Connection, path: str, **query: Any) -> tuple[list[dict[str, Any]], str | None]:
        """The rows of a list, and the cursor of its next page. Raises words.Problem."""
        body = self.call(connection, path, **query)
        rows = body.get("data")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise words.unreachable(ValueError("not a list of objects"))
        return rows, body.get("next_cursor")

    def refresh(self, connection: Connection) -> None:
        """A new access token (RFC 6749 §6). The refresh token rotates, so its successor is kept before anything else happens.

        Raises words.AccessEnded for `invalid_grant`; any other failure keeps what we have, to be tried again.
        """
        signin.metadata(self.client, self.issuer)
        if not connection.token.get("refresh_token"):
            raise words.not_renewed("no refresh token, since offline_access was not granted")
        with _refreshing:
            latest = self.find(connection.id)
            if latest is None:
                raise words.ended(None)
            if latest.token["access_token"] != connection.token["access_token"]:  # another tab was faster
                connection.token = latest.token
                return
            new = self._exchange(latest)
            connection.token = {**latest.token, **new}
            self.keep(connection)

    def _exchange(self, connection: Connection) -> dict[str, Any]:
        started = time.perf_counter()
        try:
            # No `scope`: everything that was granted. Authlib would add one from `client_kwargs`, so it is not there.
            new = self.client.fetch_access_token(grant_type="refresh_token", refresh_token=connection.token["refresh_token"])
        except OAuthError as error:
            _note("POST", "the token endpoint (refresh)", error.error, started)
            if error.error != "invalid_grant":
                raise words.not_renewed(error.error, error.description) from None
            self.forget(connection.id)
            raise words.ended(error.description) from None
        except (requests.RequestException, ValueError) as error:
            raise words.unreachable(error) from None
        _note("POST", "the token endpoint (refresh)", 200, started)
        if "access_token" not in new:
            raise words.unreachable(ValueError("no access token"))
        return new

    def _send(self, connection: Connection, path: str, query: dict[str, Any]) -> requests.Response:
        """RFC 6750 §2.1: the token goes in the header, never in the address or the body."""
        known = signin.metadata(self.client, self.issuer)
        url = known.get("userinfo_endpoint", "") if path == "userinfo" else f"{self.issuer}/api/v1{path}"
        # Without `expires_at`, or Authlib would refresh on its own, beside the lock.
        token = {"access_token": connection.token["access_token"], "token_type": "Bearer"}
        started = time.perf_counter()
        try:
            answer = self.client.get(url, params=query, token=token)
        except requests.RequestException as error:
            _note("GET", path, type(error).__name__, started)
            raise words.unreachable(error) from None
        _note("GET", path, answer.status_code, started)
        return answer

    # ending

    def disconnect(self, connection: Connection) -> None:
        """Revoke the token (RFC 7009 §2.1), then end the consent behind it. Raises words.Problem, and then nothing is forgotten."""
        known = signin.metadata(self.client, self.issuer)
        ours = {"withhold_token": True, "auth": (self.client.client_id, self.client.client_secret)}
        kind = "refresh_token" if connection.token.get("refresh_token") else "access_token"
        consents = known.get("consents_endpoint", f"{self.issuer}/oauth/consents")
        try:
            revoked = self.client.post(
                known["revocation_endpoint"], data={"token": connection.token[kind], "token_type_hint": kind}, **ours
            )
            ended = self.client.delete(f"{consents}/{connection.token.get('consent_id', '')}", **ours)
        except (requests.RequestException, KeyError) as error:
            raise words.unreachable(error) from None
        if not revoked.ok or not (ended.ok or ended.status_code in (404, 410)):  # ended before is ended
            raise words.not_ended(revoked.status_code, ended.status_code)
        self.forget(connection.id)

    def who(self, connection: Connection) -> dict[str, Any]:
        """What userinfo adds to the ID token, when it is about the same person (OIDC Core §5.3.2)."""
        with suppress(words.Problem):
            claims = self.call(connection, "userinfo")
            if claims.get("sub") == connection.who.get("sub"):
                return claims
        return {}


def _note(method: str, path: str, outcome: object, started: float) -> None:
    """For the list at the foot of each page: what Ledgerly asked the portal. No token, no query."""
    g.setdefault("calls", []).append((method, path, outcome, round((time.perf_counter() - started) * 1000)))
