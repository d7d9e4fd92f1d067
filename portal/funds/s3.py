"""Documents in an S3-compatible store, by `s3://bucket/prefix?endpoint_url=…&region=…`.

Credentials come from the environment's usual names (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, or
those of a machine's or container's role), never from the address. An object is put whole or not at all.

A content is sent before the transaction that enters its document, so that nobody waits for the store while a business is
locked. `keep` looks once more, under the lock that keeps `pruning` out: until then the content may be on the list of one
that found it before as an orphan, even if another has removed it since and it was sent anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from portal.funds.storage import PIECE_BYTES, Address, Content, Incoming, Pieces, StoreUnavailable

if TYPE_CHECKING:
    from obstore.store import S3Config

PART_BYTES = 8 * 1024 * 1024
"""What is larger goes in parts of this size, one after the other, so that a worker holds no more than that."""

PATIENCE = timedelta(seconds=60)
LISTED_AT_ONCE = 500


class Bucket:
    """A store in a bucket. Uploads wait in the folder `spool` until they are whole."""

    def __init__(self, url: str, spool: Path) -> None:
        parts = urlsplit(url)
        given = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.incoming = spool.absolute()
        config: S3Config = {}
        if "endpoint_url" in given:
            config["endpoint"] = given["endpoint_url"]
        if "region" in given:
            config["region"] = given["region"]
        self._store = S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            config=config,
            client_options={"timeout": PATIENCE, "connect_timeout": timedelta(seconds=5), "allow_http": True},
            retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=20)},
        )

    def send(self, address: Address, upload: Incoming) -> None:
        with _storing():
            if not self._has(address):
                obstore.put(self._store, address.path, upload.path, chunk_size=PART_BYTES, max_concurrency=1)

    def keep(self, address: Address, upload: Incoming) -> None:
        self.send(address, upload)

    def read(self, address: Address, start: int, stop: int) -> Pieces:
        with _storing():
            return _ObjectPieces(obstore.get(self._store, address.path, options={"range": (start, stop)}))

    def remove(self, *addresses: Address) -> None:
        with _storing():
            obstore.delete(self._store, [address.path for address in addresses])  # in one request

    def contents(self) -> Iterator[Content]:
        with _storing():
            for page in obstore.list(self._store, chunk_size=LISTED_AT_ONCE):
                for found in page:
                    address = Address.of(found["path"])
                    if address is not None:
                        yield Content(address, found["last_modified"])

    def _has(self, address: Address) -> bool:
        try:
            obstore.head(self._store, address.path)
        except FileNotFoundError:
            return False
        return True


class _ObjectPieces:
    def __init__(self, found: obstore.GetResult) -> None:
        self._found = found

    def __iter__(self) -> Iterator[bytes]:
        with _storing():
            for piece in self._found.stream(min_chunk_size=PIECE_BYTES):
                yield bytes(piece)

    def close(self) -> None:
        """The connection goes back with the last piece, or with this object."""


@contextmanager
def _storing() -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        raise StoreUnavailable(detail=f"S3: {type(error).__name__}: {str(error).partition('Debug source')[0].strip()}") from error
