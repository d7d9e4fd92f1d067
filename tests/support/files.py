"""Small documents of every kind, as the programs that write them would begin and end them."""

from __future__ import annotations

import io
import zipfile

PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xd9"
CSV = b"\xef\xbb\xbfDate,Description,Amount\r\n2026-06-30,Interest,12.50\r\n"
TEXT = "Minutes of the trustees’ meeting\n".encode()
LATIN = b"Caf\xe9, 30 June\n"
XML = b'<?xml version="1.0" encoding="UTF-8"?>\n<return year="2026"/>\n'


def office(part: str, *more: str, comment: bytes = b"") -> bytes:
    """A ZIP archive with the parts that an Office document has, `part` first."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("[Content_Types].xml", part, *more):
            archive.writestr(name, "<x/>")
        archive.comment = comment
    return written.getvalue()


XLSX = office("xl/workbook.xml")
DOCX = office("word/document.xml")


def pdf(text: str) -> bytes:
    """A PDF that differs from every other."""
    return PDF + b"%" + text.encode() + b"\n"
