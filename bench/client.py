"""A client that speaks just enough of HTTP/1.1 to cost little beside the server it measures. It talks to this machine only."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

HOST = "127.0.0.1"
PATIENCE_SECONDS = 20
LARGEST_CHUNK = 65536


class WrongError(Exception):
    """An answer other than the right one; the message says what was wrong with it."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self, status: int = 200) -> Any:
        """The body as JSON. Raises WrongError when the status is another."""
        if self.status != status:
            raise WrongError(f"{self.status} {self.body[:200]!r}")
        return json.loads(self.body)


class Connection:
    """One connection that is kept alive."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=PATIENCE_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._host = f"{HOST}:{port}"

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        return self._exchange("GET", path, headers or {})

    def post(self, path: str, form: Mapping[str, str], *, basic: tuple[str, str]) -> Answer:
        body = urlencode(form)
        headers = {
            "Authorization": f"Basic {base64.b64encode(':'.join(basic).encode()).decode()}",
            "Content-Type": "application/x-www-form-urlencoded",
            "Content-Length": str(len(body)),
        }
        return self._exchange("POST", path, headers, body.encode())

    def upload(self, path: str, form: bytes, boundary: str, headers: Mapping[str, str]) -> Answer:
        """Send a form of multipart/form-data as it stands."""
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Content-Length": str(len(form))}
        return self._exchange("POST", path, {**headers, **kind}, form)

    def post_json(self, path: str, value: Any, headers: Mapping[str, str]) -> Answer:
        body = json.dumps(value).encode()
        sized = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        return self._exchange("POST", path, {**headers, **sized}, body)

    def close(self) -> None:
        self._socket.close()

    def _exchange(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._socket.sendall(f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\n{lines}\r\n".encode() + body)
        received = self._some()
        while b"\r\n\r\n" not in received:
            received += self._some()
        head, _, content = received.partition(b"\r\n\r\n")
        status, *fields = head.decode("latin-1").split("\r\n")
        named = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        while len(content) < int(named.get("content-length", "0")):
            content += self._some()
        return Answer(int(status.split()[1]), named, content)

    def _some(self) -> bytes:
        chunk = self._socket.recv(LARGEST_CHUNK)
        if not chunk:
            raise ConnectionError("the server closed the connection")
        return chunk
