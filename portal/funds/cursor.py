"""Opaque cursors for keyset paging: where a page ended, sealed so that only what was handed out is accepted.

A cursor is base64url of eight bytes of a keyed digest and a JSON list, the sort key of the last row. The digest covers
the query that the page belongs to, so that a cursor never goes on in another business or under other filters.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence

from portal import crypto
from portal.crypto import Keyring
from portal.errors import BadRequest

PURPOSE = "cursor"
SEAL_BYTES = 8
_encode = json.JSONEncoder(separators=(",", ":")).encode
_decode = json.JSONDecoder().decode


class BadCursor(BadRequest):
    kind = "bad-cursor"
    title = "The cursor cannot be used"


def make(keyring: Keyring, query: Sequence[str | None], key: Sequence[str]) -> str:
    """The cursor after the row whose sort key is `key`, for pages of `query`."""
    place = _encode(list(key))
    return _written(_seal(keyring, query, place) + place.encode())


def read(keyring: Keyring, query: Sequence[str | None], cursor: str) -> list[str]:
    """The sort key inside a cursor that `make` returned for the same query. Raises BadCursor for anything else."""
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        place = raw[SEAL_BYTES:].decode()
    except (UnicodeError, binascii.Error):
        raise _unusable() from None
    if not crypto.same(raw[:SEAL_BYTES], _seal(keyring, query, place)) or _written(raw) != cursor:
        raise _unusable()
    return _decode(place)  # type: ignore[no-any-return]


def _written(raw: bytes) -> str:
    """In the one form that is handed out; base64 reads others as the same bytes."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _seal(keyring: Keyring, query: Sequence[str | None], place: str) -> bytes:
    return keyring.seal(PURPOSE, _encode([*query, place]), SEAL_BYTES)


def _unusable() -> BadCursor:
    return BadCursor(
        "The value of `cursor` is not one this query returned. Pass `next_cursor` on as it came, with the same filters, "
        "or leave `cursor` out to start from the first page.",
        detail="unusable cursor",
    )
