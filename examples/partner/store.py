"""Where Ledgerly keeps what nobody else may see: browser sessions and tokens, in one SQLite file beside the program.

The browser's cookie is a random key and nothing more; the file holds the SHA-256 of each key, so a copy of the file
opens nobody's session. It does hold live tokens: in your product, encrypt them with a key from your secret store.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from flask import Flask, Request, Response
from flask.sessions import SessionInterface, SessionMixin
from werkzeug.datastructures import CallbackDict

SESSION_SECONDS = 12 * 3600


class Store:
    """Small JSON objects under secret keys, each with an end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        self._execute("CREATE TABLE IF NOT EXISTS kept (digest TEXT PRIMARY KEY, value TEXT NOT NULL, expires_at REAL NOT NULL)")

    def get(self, key: str) -> dict[str, Any] | None:
        found = self._execute("SELECT value FROM kept WHERE digest = ? AND expires_at > ?", _digest(key), time.time())
        return json.loads(found[0][0]) if found else None

    def put(self, key: str, value: dict[str, Any], expires_at: float) -> None:
        self._execute("DELETE FROM kept WHERE expires_at <= ?", time.time())
        self._execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", _digest(key), json.dumps(value), expires_at)

    def forget(self, key: str) -> None:
        self._execute("DELETE FROM kept WHERE digest = ?", _digest(key))

    def _execute(self, statement: str, *values: Any) -> list[Any]:
        with closing(sqlite3.connect(self.path, timeout=10)) as connection, connection:
            connection.execute("PRAGMA secure_delete = ON")  # what is forgotten leaves the file too
            return connection.execute(statement, values).fetchall()


def new_key() -> str:
    return secrets.token_urlsafe(32)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


class Session(CallbackDict[str, Any], SessionMixin):
    """Flask's `session`, kept on the server."""

    def __init__(self, key: str, content: dict[str, Any]) -> None:
        self.key, self.former_key, self.modified = key, "", False
        super().__init__(content, Session._changed)

    def _changed(self) -> None:
        self.modified = True

    def renew(self) -> None:
        """A new key for the same content, whenever someone signs in: a key known before opens nothing after."""
        self.former_key, self.key, self.modified = self.key, new_key(), True


class ServerSessions(SessionInterface):
    def __init__(self, store: Store) -> None:
        self.store = store

    def open_session(self, app: Flask, request: Request) -> Session:
        key = request.cookies.get(self.get_cookie_name(app), "")
        content = self.store.get(key)
        return Session(new_key(), {}) if content is None else Session(key, content)

    def save_session(self, app: Flask, session: Any, response: Response) -> None:
        response.vary.add("Cookie")
        if not session.modified:
            return
        if session.former_key:
            self.store.forget(session.former_key)
        self.store.put(session.key, dict(session), time.time() + SESSION_SECONDS)
        response.set_cookie(
            self.get_cookie_name(app),
            session.key,
            path="/",
            httponly=True,
            samesite="Lax",  # not Strict: the browser comes back from the portal's site with it
            secure=self.get_cookie_secure(app),
        )
