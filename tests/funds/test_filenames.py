from __future__ import annotations

from urllib.parse import unquote

import pytest
from werkzeug.http import parse_options_header

from portal.funds import filenames
from portal.funds.kinds import KINDS

PDF, JPEG = KINDS["application/pdf"], KINDS["image/jpeg"]


@pytest.mark.parametrize(
    "name",
    ["Annual return 2026", "return.pdf", "Protokoll – Übersicht", "年度报告.pdf", "نیم\u200cفاصله", "a" * 200, "1 July: 50 %"],
)
def test_a_name_in_any_language_is_taken(name: str) -> None:
    assert filenames.fault(filenames.clean(name)) is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "   ",
        "a" * 201,
        "re\x00turn.pdf",
        "re\nturn.pdf",
        "re\rturn.pdf",
        "re\x7fturn",
        "re\x85turn",
        "re\u2028turn",
        "return\u202efdp.exe",
        "return\u2066fdp\u2069",
        "\u200freturn",
        "\ufeffreturn",
        "re\ud800turn",
        "../../etc/passwd",
        "..\\..\\boot.ini",
        "/etc/passwd",
        "..",
        ".",
        "caf\ufffd",
    ],
)
def test_a_name_that_could_mislead_is_refused(name: str) -> None:
    assert filenames.fault(filenames.clean(name))


def test_a_name_is_kept_in_its_composed_form_without_blanks_around_it() -> None:
    assert filenames.clean("  Cafe\u0301  ") == "Caf\xe9"


@pytest.mark.parametrize("path", ["C:\\Users\\alice\\return.pdf", "/home/alice/return.pdf", "../../return.pdf", "return.pdf"])
def test_the_folders_before_a_name_are_left_out(path: str) -> None:
    assert filenames.last_part(path) == "return.pdf"


@pytest.mark.parametrize(
    ("name", "kind", "found"),
    [
        ("return.pdf", PDF, "return.pdf"),
        ("Return 2026", PDF, "Return 2026.pdf"),
        ("setup.exe", PDF, "setup.exe.pdf"),
        ("photo.JPEG", JPEG, "photo.JPEG"),
        (".bashrc", PDF, "bashrc.pdf"),
        ("...", PDF, "document.pdf"),
        ('a"b:c*d?.pdf', PDF, "a_b_c_d_.pdf"),
        ("x" * 200 + ".pdf", PDF, "x" * 180 + ".pdf"),
        ("x" * 200, PDF, "x" * 180 + ".pdf"),
    ],
)
def test_a_file_name_ends_in_an_extension_of_its_kind(name: str, kind: filenames.Kind, found: str) -> None:
    assert filenames.of(name, kind) == found


@pytest.mark.parametrize("name", ["return.pdf", "Übersicht – 2026.pdf", "年度报告.pdf", "it's 100%.pdf", 'say "x".pdf'])
def test_a_download_tells_its_name_exactly_and_in_ascii(name: str) -> None:
    held = filenames.disposition(filenames.of(name, PDF))
    assert held.isascii()
    value, options = parse_options_header(held)
    assert value == "attachment" and unquote(options["filename"]) == filenames.of(name, PDF)
    plain = held.split('filename="')[1].split('"')[0]
    assert plain.endswith(".pdf") and plain != ".pdf"
