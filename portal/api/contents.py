"""The content of a document as an answer: to be saved, whole or a part (RFC 9110 §14), and to nobody who has it already.

It came from outside and goes out as it came, so a browser is told to save it, never to guess its kind or run it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from flask import Request, Response

from portal.errors import PortalError, PreconditionFailed
from portal.funds import filenames
from portal.funds.kinds import KINDS
from portal.funds.storage import Address, Store, StoreUnavailable


class RangeNotSatisfiable(PortalError):
    status, kind = 416, "range-not-satisfiable"
    title = "The document has no such part"
    message = "Ask for bytes within its size, which the header Content-Range tells."


REFUSES = (PreconditionFailed, RangeNotSatisfiable, StoreUnavailable)


def answer(document: Mapping[str, Any], business_id: str, store: Store, request: Request) -> Response:
    """200, 206 or 304 for a document by field of `documents.FIELDS`. Raises PreconditionFailed, RangeNotSatisfiable and
    StoreUnavailable."""
    size, digest = document["size"], bytes.fromhex(document["sha256"])
    tag = document["sha256"]
    if "If-Match" in request.headers and not request.if_match.contains(tag):
        raise PreconditionFailed
    if "If-None-Match" in request.headers and request.if_none_match.contains_weak(tag):
        return Response(status=304, headers={"ETag": f'"{tag}"'})
    part = _asked_part(request, f'"{tag}"', size) if request.method == "GET" else None
    start, stop = part or (0, size)
    pieces: Any = () if request.method == "HEAD" else store.read(Address(business_id, digest), start, stop)
    response = Response(pieces, status=206 if part else 200)
    response.headers.update(
        {
            "Content-Type": document["media_type"],
            "Content-Length": str(stop - start),
            "Content-Disposition": filenames.disposition(filenames.of(document["name"], KINDS[document["media_type"]])),
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Accept-Ranges": "bytes",
            "ETag": f'"{tag}"',
            "Repr-Digest": f"sha-256=:{base64.b64encode(digest).decode()}:",  # RFC 9530
        }
    )
    if part:
        response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return response


def _asked_part(request: Request, tag: str, size: int) -> tuple[int, int] | None:
    """First byte and the one after the last; None when the whole is asked for, or a way that need not be followed."""
    asked = request.range
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return None
    if "If-Range" in request.headers and request.headers["If-Range"].strip() != tag:
        return None
    start, stop = asked.ranges[0]
    if start < 0:
        start = max(0, size + start)
    if start >= size:
        raise RangeNotSatisfiable(headers={"Content-Range": f"bytes */{size}"})
    return start, min(stop or size, size)
