from __future__ import annotations

import socket
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from portal import Portal
from tests.api.world import World
from tests.support.server import LiveServer


def raw_call(
    server: LiveServer,
    *headers: bytes,
    path: bytes = b"/api/v1/funds",
    body: bytes = b"",
    method: bytes = b"GET",
    end: bool = False,
) -> tuple[int, bytes]:
    """Status and whole answer to bytes that no well-behaved client would send; with `end`, the connection's sending half then closes.

    Status 0 when the server hangs up without a word.
    """
    parts = urlsplit(server.url)
    lines = [method + b" " + path + b" HTTP/1.1", b"Host: " + parts.netloc.encode(), b"Connection: close", *headers]
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=60) as connection:
        answer = b""
        with suppress(ConnectionError):
            connection.sendall(b"\r\n".join([*lines, b"", b""]) + body)
        if end:
            with suppress(OSError):  # the server was faster
                connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return int(answer.split()[1]) if answer else 0, answer


def test_odd_requests_to_the_real_server_are_refused_and_never_break_it(app: Portal, live_server: LiveServer) -> None:
    world = World(app)
    token = world.grant("funds.summary").token.encode()
    bearer = b"Authorization: Bearer " + token
    assert raw_call(live_server, bearer)[0] == 200
    assert raw_call(live_server, b"authorization:Bearer " + token)[0] == 200
    for status, headers in (
        (400, [bearer, bearer]),
        (400, [bearer, b"Authorization: Bearer other"]),
        (401, [b"Authorization: Basic eDp5"]),
        (401, []),
        (401, [b"Authorization: Bearer \xff\xfe"]),  # the server drops it
        (400, [b"Authorization: Bearer"]),
        (400, [b"Authorization: Bearer " + token + b" " + token]),
        (401, [b"Authorization: Bearer " + b"a" * 6000]),
        (401, [b"X-Authorization: Bearer " + token]),
        (401, [b"Cookie: session=" + token]),
    ):
        found, answer = raw_call(live_server, *headers)
        assert found == status, (headers, answer)
        assert token not in answer
    for path in (
        b"?limit=%ff",
        b"?q=%ed%a0%80",
        b"?q=%00",
        b"?%00=1",
        b"?limit",
        b"?&&=&",
        b"/%2e%2e",
        b"/%00",
        b"/%ff/members",
        b"//",
    ):
        found, answer = raw_call(live_server, bearer, path=b"/api/v1/funds" + path)
        assert found < 500, (path, answer)
    form = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d"
    body = b"access_token=" + token
    assert raw_call(live_server, form % len(body), body=body)[0] == 401
    assert token.decode() not in live_server.log.read_text()


@pytest.mark.parametrize("members", ["", "/members"])
def test_an_overlong_id_is_unknown(app: Portal, live_server: LiveServer, members: str) -> None:
    token = World(app).grant("funds.read").token
    status, _answer = raw_call(
        live_server, b"Authorization: Bearer " + token.encode(), path=b"/api/v1/funds/" + b"a" * 3000 + members.encode()
    )
    assert status == 404
