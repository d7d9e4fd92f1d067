from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal import Portal, crypto, db
from portal.consents.models import Consent, UsageDay
from portal.oauth.models import AccessToken
from tests.api.world import World
from tests.support.patience import eventually
from tests.support.server import HOST, ROOT, LiveServer, free_port

Transaction = Callable[[], AbstractContextManager[Session]]
CONFIGURATION = ROOT / "docs" / "nginx.conf"
PATIENCE_SECONDS = 20
IDENTITY = ("X-Consent-Id", "X-Business-Id", "X-User-Id", "X-Client-Id", "X-Scopes")


@dataclass
class Backend:
    """The API that is not the portal's: it answers everything, and remembers what reached it."""

    port: int = 0
    seen: list[http.client.HTTPMessage] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)


@pytest.fixture
def backend() -> Iterator[Backend]:
    made = Backend()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            made.seen.append(self.headers)
            made.paths.append(self.path)
            self.send_response(403 if self.path.endswith("forbidden") else 200)
            self.send_header("X-Method", self.command)
            self.send_header("Content-Length", str(len(body) or 2))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body or b"ok")

        do_POST = do_HEAD = do_GET  # noqa: N815, the names are the library’s

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        server.daemon_threads = True
        made.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield made
        server.shutdown()


@pytest.fixture
def proxy(live_server: LiveServer, backend: Backend, tmp_path: Path) -> Iterator[int]:
    """A real nginx on docs/nginx.conf, with the addresses of this test in it. Yields its port."""
    with nginx(tmp_path, portal=urlsplit(live_server.url).netloc, backend=f"{HOST}:{backend.port}") as port:
        yield port


@contextmanager
def nginx(place: Path, *, portal: str, backend: str, changes: dict[str, str] | None = None) -> Iterator[int]:
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    assert program, "There is no nginx. Run `make test`, which installs one, or install Debian's package nginx-light."
    port, text = free_port(), CONFIGURATION.read_text()
    addresses = {
        "127.0.0.1:8080": f"{HOST}:{port}",
        "127.0.0.1:8000": portal,
        "127.0.0.1:9000": backend,
        "portal.example": portal,
    }
    for written, ours in {**addresses, **(changes or {})}.items():
        assert text.count(f" {written};") == 1
        text = text.replace(f" {written};", f" {ours};")
    (place / "nginx.conf").write_text(text)
    command = [program, "-p", f"{place}/", "-c", "nginx.conf", "-e", "error.log", "-g", "daemon off; master_process off;"]
    with (place / "output").open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_until_it_listens(process, port, place / "output")
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as asking:
            if asking.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"nginx does not listen:\n{output.read_text()}")


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def challenges(self) -> list[str]:
        return self.headers.get_all("WWW-Authenticate") or []


def ask(
    port: int, path: str, token: str | None = None, *others: tuple[str, str], method: str = "GET", body: bytes = b""
) -> Answer:
    headers = [*([("Authorization", f"Bearer {token}")] if token else []), *others]
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    connection.putrequest(method, path)
    for name, value in [*headers, *([("Content-Length", str(len(body)))] if body else [])]:
        connection.putheader(name, value)
    connection.endheaders(body or None)
    answer = connection.getresponse()
    found = Answer(answer.status, answer.headers, answer.read())
    connection.close()
    return found


def test_a_call_that_is_allowed_reaches_the_back_end_with_who_and_for_whom(
    proxy: int, backend: Backend, app: Portal, transaction: Transaction
) -> None:
    grant = World(app).grant("openid funds.read")
    began = db.utcnow()
    answer = ask(proxy, "/funds?q=1", grant.token)
    assert (answer.status, answer.body) == (200, b"ok")
    [seen] = backend.seen
    assert {name: seen[name] for name in IDENTITY} == {
        "X-Consent-Id": grant.consent_id,
        "X-Business-Id": grant.business_id,
        "X-User-Id": grant.user_id,
        "X-Client-Id": grant.client_id,
        "X-Scopes": "openid funds.summary funds.basic members.read funds.read",
    }
    assert seen["Authorization"] is None

    def found() -> list[tuple[str, int]]:
        with transaction() as session:
            rows = session.scalars(select(UsageDay).where(UsageDay.consent_id == grant.consent_id))
            return [(row.scope, row.calls) for row in rows]

    eventually(found, [("funds.summary", 1)])
    moved = World(app).last_accessed(grant)
    assert moved is not None and moved >= began


def test_a_body_reaches_the_back_end_and_not_the_portal(proxy: int, backend: Backend, app: Portal) -> None:
    token = World(app).grant("funds.write").token
    body = b"x" * 200_000
    answer = ask(proxy, "/filings", token, method="POST", body=body)
    assert (answer.status, answer.headers["X-Method"], answer.body) == (200, "POST", body)


def test_what_a_client_says_about_itself_is_not_believed(proxy: int, backend: Backend, app: Portal) -> None:
    grant = World(app).grant("funds.read")
    spoofed = [(name, "spoofed") for name in IDENTITY]
    spoofed += [(name.lower(), "spoofed") for name in IDENTITY]
    spoofed += [(name.replace("-", "_"), "spoofed") for name in IDENTITY]
    assert ask(proxy, "/funds", grant.token, *spoofed).status == 200
    [seen] = backend.seen
    assert "spoofed" not in str(seen)
    assert seen.get_all("X-Consent-Id") == [grant.consent_id]
    assert ask(proxy, "/funds", None, *spoofed).status == 401
    assert len(backend.seen) == 1


def test_who_has_no_token_or_a_dead_one_gets_the_portals_challenge_once(
    proxy: int, backend: Backend, app: Portal, live_server: LiveServer
) -> None:
    world = World(app)
    grant = world.grant("funds.read")
    answer = ask(proxy, "/funds")
    assert answer.status == 401
    assert answer.challenges == [f'Bearer resource_metadata="{live_server.url}/.well-known/oauth-protected-resource/api/v1"']
    world.change(Consent, Consent.id == grant.consent_id, revoked_at=db.utcnow(), revoke_reason="user")
    answer = ask(proxy, "/funds", grant.token)
    assert answer.status == 401
    [challenge] = answer.challenges
    assert 'error="invalid_token", error_description="revoked"' in challenge
    assert json.loads(answer.body)["status"] == 401
    for odd in ("a b", '"', "x" * 3000):
        assert ask(proxy, "/funds", odd).status == 401
    assert backend.seen == []


def test_who_may_not_is_told_what_is_missing(proxy: int, backend: Backend, app: Portal) -> None:
    answer = ask(proxy, "/filings", World(app).grant("funds.read").token)
    assert answer.status == 403
    [challenge] = answer.challenges
    assert 'error="insufficient_scope"' in challenge and 'scope="funds.write"' in challenge
    assert json.loads(answer.body)["status"] == 403
    assert backend.seen == []


def test_what_the_back_end_refuses_by_itself_stays_its_own(proxy: int, backend: Backend, app: Portal) -> None:
    answer = ask(proxy, "/funds/forbidden", World(app).grant("funds.read").token)
    assert (answer.status, answer.body, answer.challenges) == (403, b"ok", [])


def test_a_call_reaches_the_back_end_under_the_address_it_was_made_to(proxy: int, backend: Backend, app: Portal) -> None:
    assert ask(proxy, "/funds/a%2Fb//c?q=%C3%A9&q=", World(app).grant("funds.read").token).status == 200
    assert backend.paths == ["/funds/a%2Fb//c?q=%C3%A9&q="]


TWISTED = [
    "/filings/1/..%2f..%2ffunds", "/filings/1/%2e%2e/%2E%2e/funds", "/filings/delete;x/..%2F..%2ffunds", "/filings/../funds",
    "/filings/..;/funds", "/filings/..%3b/funds", "/filings/1/.%2e/funds", "/filings/1\\..\\..\\funds", "/filings/1%5c..%5C..%5cfunds",
    "/filings/./1", "/filings/1/..", "/filings/1/..?q=1", "/filings/1/..#", "/filings%2f..%2ffunds", "/funds/../filings",
]  # fmt: skip


def test_a_path_that_the_back_end_could_read_as_another_gets_nowhere(proxy: int, backend: Backend, app: Portal) -> None:
    token = World(app).grant("funds.write funds.read").token
    answers = {path: [ask(proxy, path, token, method=method).status for method in ("GET", "POST")] for path in TWISTED}
    assert answers == {path: [400, 400] for path in TWISTED}
    assert backend.seen == []


def test_dots_that_lead_nowhere_get_through(proxy: int, backend: Backend, app: Portal) -> None:
    token = World(app).grant("funds.read").token
    paths = ["/funds/a..b", "/funds/.well", "/funds/a.", "/funds/...", "/funds?q=/../x"]
    assert {ask(proxy, path, token).status for path in paths} == {200}
    assert backend.paths == paths


def test_a_scope_opens_no_path_that_only_begins_like_its_own(proxy: int, backend: Backend, app: Portal) -> None:
    token = World(app).grant("funds.write funds.read").token
    assert {ask(proxy, path, token).status for path in ("/fundsadmin", "/funds;x", "/filings-old/1", "/Funds")} == {404}
    assert backend.seen == []


def test_a_scope_that_reads_opens_no_method_that_changes(proxy: int, backend: Backend, app: Portal) -> None:
    reads, writes = World(app).grant("funds.read").token, World(app).grant("funds.write").token
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "ODD"):
        answer = ask(proxy, "/funds", reads, method=method)
        assert (answer.status, 'scope="funds.write"' in answer.challenges[0]) == (403, True)
    assert backend.seen == []
    assert ask(proxy, "/funds", writes, method="POST").status == 200
    assert ask(proxy, "/funds", reads, method="HEAD").status == 200


def test_a_consent_that_makes_too_many_calls_waits_whatever_its_token_and_no_other_does(
    live_server: LiveServer, backend: Backend, app: Portal, tmp_path: Path, transaction: Transaction
) -> None:
    grant, other, second = World(app).grant("funds.read"), World(app).grant("funds.read"), crypto.new_secret(crypto.ACCESS_TOKEN)
    with transaction() as session:
        now = db.utcnow()
        session.add(
            AccessToken(
                digest=crypto.digest(second), authorization_id=grant.authorization_id, issued_at=now,
                expires_at=now + timedelta(minutes=10),
            )
        )  # fmt: skip
    portal, slow = urlsplit(live_server.url).netloc, {"rate=600r/m": "rate=1r/m", "burst=60 nodelay": "burst=2 nodelay"}
    with nginx(tmp_path, portal=portal, backend=f"{HOST}:{backend.port}", changes=slow) as port:
        answers = [ask(port, "/funds", token) for token in (grant.token, second, grant.token, second, grant.token)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
        assert answers[-1].headers["Retry-After"] == "1" and json.loads(answers[-1].body)["status"] == 429
        assert ask(port, "/funds", other.token).status == 200
        assert ask(port, "/funds", "dead").status == 401
    assert len(backend.seen) == 4


@pytest.mark.settings(verify_key="the-key-of-a-proxy-0123456789abcdef")
def test_a_proxy_shows_its_key_and_no_client_does_so_for_it(
    live_server: LiveServer, backend: Backend, app: Portal, tmp_path: Path
) -> None:
    token, key = World(app).grant("funds.read").token, app.settings.verify_key
    for shown, status in ((key, 200), ("value-of-PORTAL_VERIFY_KEY", 403)):
        place = tmp_path / str(status)
        place.mkdir()
        changes = {"X-Verify-Key value-of-PORTAL_VERIFY_KEY": f"X-Verify-Key {shown}"}
        with nginx(place, portal=urlsplit(live_server.url).netloc, backend=f"{HOST}:{backend.port}", changes=changes) as port:
            assert ask(port, "/funds", token, ("X-Verify-Key", key)).status == status
    assert len(backend.seen) == 1


def test_nobody_asks_the_portal_through_the_proxy(proxy: int, backend: Backend, app: Portal) -> None:
    token = World(app).grant("funds.read").token
    for path in ("/_verify", "/_verify/openid", "/oauth/verify", "/", "/elsewhere"):
        assert ask(proxy, path, token).status == 404
    assert backend.seen == []


def test_without_the_portal_nothing_gets_through(backend: Backend, tmp_path: Path) -> None:
    with nginx(tmp_path, portal=f"{HOST}:{free_port()}", backend=f"{HOST}:{backend.port}") as port:
        assert ask(port, "/funds", "any").status == 500
    assert backend.seen == []
