"""Answers that go out packed (gzip), and what must not.

Who can put words of theirs into a page and watch how long it is when packed learns, guess by guess, what else stands on
it (BREACH). So nothing that is secret and stays the same is on a page that is packed:

- The token of the forms looks different in each answer (`csrf`).
- A page that shows a secret says so by `keep_unpacked()`: the recovery codes, the key of a second factor with its QR code,
  and the form that takes a code to the partner. A client's secret is on no page; the command line shows it.
- An answer that leads elsewhere is never packed: its address may hold a code or the id of a parked request. The pages that
  hold such an id were asked for by it, so whoever could guess at them has it; and without the session's cookie it opens nothing.

What is left are names and addresses of people. To them it helps that each packed page is longer by a random amount, so that
one guess needs many tries; and that no other site's script gets a page with our cookie at all, since it is SameSite.
"""

from __future__ import annotations

import gzip
import secrets
from functools import cache
from io import BytesIO

from flask import Request, Response, g

STATIC_TYPES = ("text/css", "text/javascript", "image/svg+xml")
LEAST_BYTES = 1_000
"""What is smaller fits one packet as it is."""
PAGE_LEVEL, STATIC_LEVEL = 3, 9
"""A page is packed each time and a static file once."""
NOISE_BYTES = 128


def keep_unpacked() -> None:
    """This page shows a secret, so it goes out as it is."""
    g.keeps_unpacked = True


def pack(response: Response, asked: Request) -> None:
    """Pack a page or a static file, if that is allowed, of use, and what the browser takes."""
    is_static = asked.endpoint == "static"
    if not is_static and (response.mimetype != "text/html" or 300 <= response.status_code < 400 or "keeps_unpacked" in g):
        return
    response.vary.add("Accept-Encoding")
    if is_static and (response.status_code != 200 or response.mimetype not in STATIC_TYPES):
        return
    if asked.accept_encodings["gzip"] <= 0 or "Range" in asked.headers:
        return
    response.direct_passthrough = False
    content, (etag, _) = response.get_data(), response.get_etag()
    if len(content) < LEAST_BYTES:
        return
    response.set_data(_packed_file(content) if is_static else _packed_page(content))
    response.headers["Content-Encoding"] = "gzip"
    if etag:
        response.set_etag(etag, weak=True)


@cache
def _packed_file(content: bytes) -> bytes:
    return gzip.compress(content, STATIC_LEVEL, mtime=0)


def _packed_page(content: bytes) -> bytes:
    """Packed anew each time and kept nowhere; the random amount is a file name in the header (RFC 1952 §2.3.1), which nobody reads."""
    packed = BytesIO()
    with gzip.GzipFile("x" * secrets.randbelow(NOISE_BYTES), "wb", PAGE_LEVEL, packed, mtime=0) as file:
        file.write(content)
    return packed.getvalue()
