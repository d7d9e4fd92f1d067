from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from portal.funds import kinds
from portal.funds.kinds import KINDS, OFFICE, KindRefused
from tests.support import files

XLSX, DOCX = OFFICE + "spreadsheetml.sheet", OFFICE + "wordprocessingml.document"
GOOD = {
    "application/pdf": files.PDF,
    "text/csv": files.CSV,
    "text/plain": files.TEXT,
    "application/xml": files.XML,
    XLSX: files.XLSX,
    DOCX: files.DOCX,
    "image/png": files.PNG,
    "image/jpeg": files.JPEG,
}


def fits(media_type: str, content: bytes, tmp_path: Path) -> bool:
    file = tmp_path / "file"
    file.write_bytes(content)
    try:
        kinds.check(KINDS[media_type], file)
    except KindRefused:
        return False
    return True


def test_each_kind_takes_its_own_content_and_only_text_takes_other_text(tmp_path: Path) -> None:
    assert GOOD.keys() == KINDS.keys()
    taken = {declared: {real for real, content in GOOD.items() if fits(declared, content, tmp_path)} for declared in KINDS}
    text = {"text/csv", "text/plain", "application/xml"}
    assert taken == {**{kind: {kind} for kind in KINDS}, "text/csv": text, "text/plain": text}


@pytest.mark.parametrize("declared", list(KINDS))
@pytest.mark.parametrize(
    "content",
    [
        b"MZ\x90\x00\x03\x00\x00\x00",
        b"\x7fELF\x02\x01\x01\x00",
        b"<!DOCTYPE html><script>alert(1)</script>",
        b"\xef\xbb\xbf  \r\n<HTML><body>",
        b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        b"PK\x03\x04" + bytes(40),
        b"%PDF",
        b"text\x00with NUL",
        b"\x1b[31mred",
        b"x" * 600_000 + b"\x00",
    ],
)
def test_programs_web_pages_and_fragments_are_no_document(declared: str, content: bytes, tmp_path: Path) -> None:
    is_piece_of_text = declared in ("text/csv", "text/plain") and content == b"%PDF"
    assert fits(declared, content, tmp_path) == is_piece_of_text


def test_text_may_be_in_an_old_encoding(tmp_path: Path) -> None:
    assert fits("text/csv", files.LATIN, tmp_path) and fits("text/plain", files.LATIN, tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        files.office("xl/workbook.xml", "xl/vbaProject.bin"),
        files.office("word/document.xml"),
        files.office("xl/other.xml"),
        files.XLSX[:-10],
        files.XLSX.replace(b"PK\x01\x02", b"PK\x01\x09"),
        files.XLSX[:-10] + b"\xff\xff\xff\x7f" + files.XLSX[-6:],
    ],
    ids=["macros", "another program's", "no workbook", "cut off", "broken directory", "directory that is nowhere"],
)
def test_an_archive_that_is_no_workbook_is_refused(content: bytes, tmp_path: Path) -> None:
    assert not fits(XLSX, content, tmp_path)


def test_an_archive_with_a_comment_is_read_to_its_end(tmp_path: Path) -> None:
    assert fits(XLSX, files.office("xl/workbook.xml", comment=b"made by " * 8000), tmp_path)


def test_an_archive_whose_directory_is_a_bomb_is_not_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb", "w") as archive:
        archive.writestr("xl/workbook.xml", "")
        for number in range(12_000):
            archive.writestr(f"{number:0100}", "")
    assert not fits(XLSX, (tmp_path / "bomb").read_bytes(), tmp_path)


# what is declared


@pytest.mark.parametrize(
    ("declared", "name", "found"),
    [
        ("application/pdf", "return.pdf", "application/pdf"),
        ("application/pdf", "return", "application/pdf"),
        ("Application/PDF", "RETURN.PDF", "application/pdf"),
        ("application/pdf", "return.2026", "application/pdf"),
        ("", "return.pdf", "application/pdf"),
        ("application/octet-stream", "photo.JPEG", "image/jpeg"),
        ("text/xml", "return.xml", "application/xml"),
    ],
)
def test_the_kind_is_the_declared_one_or_else_that_of_the_name(declared: str, name: str, found: str) -> None:
    assert kinds.choose(declared, name).media_type == found


@pytest.mark.parametrize(
    ("declared", "name"),
    [
        ("", "return"),
        ("", ""),
        ("application/octet-stream", "setup.exe"),
        ("text/html", "return.html"),
        ("image/svg+xml", "chart.svg"),
        ("application/zip", "return.zip"),
        ("application/pdf", "return.docx"),
        ("text/plain", "return.pdf"),
        ("nonsense", "return.pdf"),
    ],
)
def test_what_is_not_taken_or_not_sure_is_refused(declared: str, name: str) -> None:
    with pytest.raises(KindRefused):
        kinds.choose(declared, name)
