"""Which kinds of document are taken, and whether a content is what it is said to be.

Documents are handed on byte by byte and never opened here, so a look at what a format cannot do without is enough: it
keeps programs, web pages and mistakes out, and leaves fine print to those who open the file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from portal.errors import PortalError

HEAD_BYTES = 1024
PIECE_BYTES = 256 * 1024
LARGEST_DIRECTORY_BYTES = 1024 * 1024
DIRECTORY_END = b"PK\x05\x06"
DIRECTORY_END_BYTES = 22 + 65535
NOT_TEXT = bytes(code for code in range(32) if code not in b"\t\n\f\r") + b"\x7f"
MARKS = b"\xef\xbb\xbf \t\r\n"
"""A byte order mark and blanks, before the first character that counts."""
OTHER_THAN_TEXT = (b"%pdf-", b"<!doctype html", b"<html", b"<script", b"<svg")
"""Beginnings of what may hold no control character and is read as something else all the same."""
UNKNOWN_MEDIA_TYPES = ("", "application/octet-stream")
"""What senders say who do not know; the name's extension decides then."""


class KindRefused(PortalError):
    """415: the kind is not taken, or the content is not of the kind it is said to be."""

    status, kind = 415, "document-kind"
    title = "This kind of document is not taken"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of document: its media type, its extensions (the first is the usual one), and a look at the content."""

    media_type: str
    extensions: tuple[str, ...]
    title: str
    fits: Callable[[BinaryIO], bool]


def _begins(*beginnings: bytes) -> Callable[[BinaryIO], bool]:
    return lambda file: file.read(HEAD_BYTES).startswith(beginnings)


def _is_text(file: BinaryIO) -> bool:
    """No control character anywhere, in whatever encoding that has ASCII in it."""
    head = file.read(HEAD_BYTES)
    if head.lstrip(MARKS).lower().startswith(OTHER_THAN_TEXT):
        return False
    file.seek(0)
    return all(len(piece) == len(piece.translate(None, NOT_TEXT)) for piece in iter(lambda: file.read(PIECE_BYTES), b""))


def _is_xml(file: BinaryIO) -> bool:
    begins = file.read(HEAD_BYTES).lstrip(MARKS).startswith(b"<")
    file.seek(0)
    return begins and _is_text(file)


def _is_office(part: bytes) -> Callable[[BinaryIO], bool]:
    """A ZIP archive whose directory names `part` and no macros. Only the directory is read, and only a sane one."""

    def fits(file: BinaryIO) -> bool:
        if file.read(4) != b"PK\x03\x04":
            return False
        size = file.seek(0, 2)
        file.seek(max(0, size - DIRECTORY_END_BYTES))
        tail = file.read()
        end = tail[tail.rfind(DIRECTORY_END) :] if DIRECTORY_END in tail else b""
        length, start = int.from_bytes(end[12:16], "little"), int.from_bytes(end[16:20], "little")
        if not 0 < length <= LARGEST_DIRECTORY_BYTES or start + length > size:
            return False
        file.seek(start)
        directory = file.read(length)
        return directory.startswith(b"PK\x01\x02") and part in directory and b"vbaProject" not in directory

    return fits


OFFICE = "application/vnd.openxmlformats-officedocument."
KINDS = {
    kind.media_type: kind
    for kind in (
        Kind("application/pdf", (".pdf",), "PDF", _begins(b"%PDF-")),
        Kind("text/csv", (".csv",), "CSV", _is_text),
        Kind("text/plain", (".txt",), "plain text", _is_text),
        Kind("application/xml", (".xml",), "XML", _is_xml),
        Kind(OFFICE + "spreadsheetml.sheet", (".xlsx",), "Excel workbook without macros", _is_office(b"xl/workbook.xml")),
        Kind(OFFICE + "wordprocessingml.document", (".docx",), "Word document without macros", _is_office(b"word/document.xml")),
        Kind("image/png", (".png",), "PNG", _begins(b"\x89PNG\r\n\x1a\n")),
        Kind("image/jpeg", (".jpg", ".jpeg"), "JPEG", _begins(b"\xff\xd8\xff")),
    )
}
"""Every kind by its media type."""

SYNONYMS = {"text/xml": "application/xml", "application/csv": "text/csv", "image/jpg": "image/jpeg"}
TAKEN = ", ".join(kind.title for kind in KINDS.values())


def choose(declared: str, file_name: str) -> Kind:
    """The kind of the declared media type, or of the extension when none is declared. Raises KindRefused."""
    extension = Path(file_name.lower()).suffix
    by_name = next((kind for kind in KINDS.values() if extension in kind.extensions), None)
    declared = declared.lower()
    found = by_name if declared in UNKNOWN_MEDIA_TYPES else KINDS.get(SYNONYMS.get(declared, declared))
    if found is None:
        raise KindRefused(f"Nothing was stored. Taken are: {TAKEN}.", detail="kind not taken")
    if by_name not in (None, found):
        raise KindRefused(
            f"Nothing was stored. The document is declared as {found.title}, and its file name ends in {extension}.",
            title="The kind and the name do not agree",
            detail="declared kind and extension differ",
        )
    return found


def check(kind: Kind, path: Path) -> None:
    """Raises KindRefused when the content is not of the kind."""
    with path.open("rb") as file:
        fits = kind.fits(file)
    if not fits:
        raise KindRefused(
            f"Nothing was stored. The document is declared as {kind.title} ({kind.media_type}), and its content is not that.",
            title="The content is not what it is declared as",
            detail=f"content is not {kind.media_type}",
        )
