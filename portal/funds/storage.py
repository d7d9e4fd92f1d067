"""Where the contents of documents live: outside the tables, under their business and their SHA-256.

A folder by default; any S3-compatible store by setting (`portal.funds.s3`). An upload is written to a file of its own
first, hashed while it comes, and moved to its address only when it is whole: so an address always holds all of a
content, however many write it at once, and an upload that breaks off leaves nothing. Each business has its own
addresses, so that no answer and no timing tells one what another holds.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from portal.config import Settings
from portal.errors import TooLarge, Unavailable

LARGEST_BYTES = 25 * 1024 * 1024
PIECE_BYTES = 256 * 1024
DEAD_AFTER_SECONDS = 3600
"""An upload that has not moved for so long will not go on: its worker was killed."""

INCOMING = ".incoming"


class StoreUnavailable(Unavailable):
    kind = "documents-unavailable"
    title = "The store of documents does not answer"
    message = "Nothing was stored or changed. Please try again in a moment."


class ContentTooLarge(TooLarge):
    message = f"Nothing was stored. A document may have {LARGEST_BYTES // 1024**2} MB at most."


@dataclass(frozen=True, slots=True)
class Address:
    """Where a content lies. No name that anyone chose is part of it."""

    business_id: str
    sha256: bytes

    @property
    def path(self) -> str:
        name = self.sha256.hex()
        return f"{self.business_id}/{name[:2]}/{name}"

    @classmethod
    def of(cls, path: str) -> Address | None:
        """The address with this path; None for what was not put there by a store."""
        business_id, _, rest = path.partition("/")
        try:
            address = cls(business_id, bytes.fromhex(rest[3:]))
        except ValueError:
            return None
        return address if address.path == path and len(address.sha256) == 32 else None


@dataclass(frozen=True, slots=True)
class Content:
    """One content that lies in a store, and since when."""

    address: Address
    stored_at: datetime


class Pieces(Protocol):
    """A content, or a part of it, a piece at a time; the server closes it."""

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None: ...


class Incoming:
    """One upload on its way in. `write` raises ContentTooLarge or StoreUnavailable; `discard` belongs at every end."""

    def __init__(self, folder: Path) -> None:
        self._digest = hashlib.sha256()
        self.size = 0
        with storing():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=folder)
        self.path = Path(name)
        self._file = os.fdopen(handle, "wb", buffering=0)

    def write(self, piece: bytes) -> int:
        if self.size + len(piece) > LARGEST_BYTES:
            raise ContentTooLarge(detail=f"more than {LARGEST_BYTES} bytes")
        rest = memoryview(piece)
        with storing():
            while rest:
                rest = rest[self._file.write(rest) :]
        self._digest.update(piece)
        self.size += len(piece)
        return len(piece)

    def seek(self, _offset: int) -> int:
        """The form parser says so that the last piece was written; from here on it survives a power cut."""
        with storing():
            os.fsync(self._file.fileno())
            self._file.close()
        return 0

    @property
    def sha256(self) -> bytes:
        return self._digest.digest()

    def discard(self) -> None:
        """Leave nothing; what was kept is not touched."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


class Store(Protocol):
    """What every store can do. All of it raises StoreUnavailable."""

    incoming: Path
    """The folder in which uploads wait until they are whole."""

    def send(self, address: Address, upload: Incoming) -> None:
        """Do beforehand what is slow about `keep`, while no transaction waits for it."""

    def keep(self, address: Address, upload: Incoming) -> None:
        """See that a whole upload lies at its address, all of it or nothing; under a lock that keeps `pruning` out."""

    def read(self, address: Address, start: int, stop: int) -> Pieces:
        """The bytes from `start` up to but not including `stop`."""

    def remove(self, *addresses: Address) -> None:
        """What is gone already is no mistake."""

    def contents(self) -> Iterator[Content]:
        """Everything that lies in the store, of all businesses."""


class Folder:
    """A store in a folder, which all workers share."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.incoming = root / INCOMING

    def send(self, address: Address, upload: Incoming) -> None:
        """Nothing is slow about a rename."""

    def keep(self, address: Address, upload: Incoming) -> None:
        target = self.root / address.path
        with storing():
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            upload.path.replace(target)
            for folder in (target.parent, target.parent.parent, self.root):
                _sync(folder)

    def read(self, address: Address, start: int, stop: int) -> Pieces:
        with storing():
            return _FilePieces(self.root / address.path, start, stop)

    def remove(self, *addresses: Address) -> None:
        with storing():
            for address in addresses:
                (self.root / address.path).unlink(missing_ok=True)

    def contents(self) -> Iterator[Content]:
        for file in self.root.glob("*/*/*"):
            address = Address.of(file.relative_to(self.root).as_posix())
            with suppress(FileNotFoundError):  # another one prunes too
                if address is not None:
                    yield Content(address, datetime.fromtimestamp(file.stat().st_mtime, UTC))


class _FilePieces:
    def __init__(self, path: Path, start: int, stop: int) -> None:
        self._left = stop - start
        self._file = path.open("rb")
        self._file.seek(start)

    def __iter__(self) -> Iterator[bytes]:
        with self._file:
            while self._left > 0 and (piece := self._file.read(min(PIECE_BYTES, self._left))):
                self._left -= len(piece)
                yield piece

    def close(self) -> None:
        self._file.close()


def store_of(settings: Settings) -> Store:
    """The store of PORTAL_DOCUMENTS_URL. The library for S3 is loaded only when that asks for it."""
    url = settings.documents_url
    if url.startswith("s3:"):
        return cast(Store, import_module("portal.funds.s3").Bucket(url, Path(settings.documents_spool)))
    return Folder(Path(url.removeprefix("file:")).absolute())


def probe(store: Store) -> None:
    """Whether uploads can be taken and contents be written, as far as that shows without leaving one. Raises StoreUnavailable."""
    upload = Incoming(store.incoming)
    try:
        upload.write(os.urandom(16))  # what lies there already would not be written again
        upload.seek(0)
        address = Address("probe", upload.sha256)
        store.keep(address, upload)
        store.remove(address)
    finally:
        upload.discard()


def sweep(store: Store) -> int:
    """Remove what uploads left whose worker was killed. Returns how many there were."""
    dead = 0
    with suppress(OSError):
        for file in store.incoming.iterdir():
            with suppress(OSError):  # another worker sweeps too
                if file.stat().st_mtime < time.time() - DEAD_AFTER_SECONDS:
                    file.unlink()
                    dead += 1
    return dead


@contextmanager
def storing() -> Iterator[None]:
    """A full disk, a missing folder, a forbidden one: all of it is told as StoreUnavailable, and the log knows which."""
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(detail=f"{type(error).__name__}: {error.strerror}") from error


def _sync(folder: Path) -> None:
    """Write a folder's entries through, so that a rename in it survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
