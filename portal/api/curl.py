"""Each call as a line for the shell, made from the table of calls like everything else that is said of it."""

from __future__ import annotations

import json
import re
import shlex

from portal.api import examples
from portal.api.registry import Endpoint

ID = "01jzc9x3m0v5k8q2n7d4t6h1rb"
KEY = "3f2a8c52-6f0f-4a3e-9d3b-6b0c1f7d2e11"
NEXT_LINE = " \\\n  "


def line_of(line: Endpoint, address: str) -> str:
    """A command that makes this call with the token in `$TOKEN`; `address` is where the API is."""
    parts = [
        f"curl {shlex.quote(address + re.sub(r'<[^>]+>', ID, line.path))}",
        '-H "Authorization: Bearer $TOKEN"',
        *(_option("-H", header) for header in _headers(line)),
        *_body(line),
    ]
    if line.answer is None:
        parts.append("--remote-name --remote-header-name")
    if line.method not in ("GET", "POST") or (line.method == "POST" and line.body is None):
        parts.insert(1, f"-X {line.method}")
    return NEXT_LINE.join(parts)


def token_line(address: str) -> str:
    """Exchange a code for tokens, as a confidential client does it."""
    return NEXT_LINE.join(
        [
            f"curl {shlex.quote(address)}",
            '-u "$CLIENT_ID:$CLIENT_SECRET"',
            "-d grant_type=authorization_code",
            '--data-urlencode "code=$CODE"',
            '--data-urlencode "redirect_uri=$REDIRECT_URI"',
            '--data-urlencode "code_verifier=$CODE_VERIFIER"',
        ]
    )


def refresh_line(address: str) -> str:
    return NEXT_LINE.join(
        [
            f"curl {shlex.quote(address)}",
            '-u "$CLIENT_ID:$CLIENT_SECRET"',
            "-d grant_type=refresh_token",
            '--data-urlencode "refresh_token=$REFRESH_TOKEN"',
        ]
    )


def _option(name: str, value: str) -> str:
    return f"{name} {shlex.quote(value)}"


def _headers(line: Endpoint) -> list[str]:
    headers = []
    if line.conditional:
        headers.append('If-Match: "3"')
    if line.idempotent:
        headers.append(f"Idempotency-Key: {KEY}")
    if line.body is not None and "json" in line.body.media_types[0]:
        headers.append(f"Content-Type: {line.body.media_types[0]}")
    return headers


def _body(line: Endpoint) -> list[str]:
    if line.body is None:
        return []
    example = examples.of_schema(line.body.schema)
    if "json" in line.body.media_types[0]:
        return [_option("-d", json.dumps(example, ensure_ascii=False))]
    return [
        "-F file=@document.pdf",
        *(_option("-F", f"{name}={value}") for name, value in example.items() if isinstance(value, str) and name != "file"),
    ]
