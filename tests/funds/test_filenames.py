from __future__ import annotations

import re
import unicodedata
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


def test_a_name_that_is_far_too_long_is_refused_before_it_is_composed(monkeypatch: pytest.MonkeyPatch) -> None:
    composed: list[int] = []
    normalize = unicodedata.normalize
    monkeypatch.setattr(unicodedata, "normalize", lambda form, text: composed.append(len(text)) or normalize(form, text[:100]))
    assert filenames.fault(filenames.clean("a" + "\u0301\u0316" * 50_000)) == "may hold at most 200 characters"
    assert composed == []


def test_a_name_is_measured_in_its_composed_form() -> None:
    four_in_one = "\u03b1\u0313\u0301\u0345"
    assert filenames.fault(filenames.clean(four_in_one * 200)) is None
    assert filenames.fault(filenames.clean(four_in_one * 201))


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


@pytest.mark.parametrize(
    "name",
    [
        "a\uff02\uff1b filename\uff0a=UTF-8''evil.bat\uff1b x=\uff02.pdf",
        "a\uff02\uff1b filename=\uff02evil.bat\uff02\uff1b x=\uff02.pdf",
        "evil.bat\uff02.pdf",
        "\u2025\uff0f\u2025\uff0fetc\uff0fpasswd.pdf",
        "\ufe68\uff3cserver\uff3cshare.pdf",
        "50\uff0541.pdf",
    ],
)
def test_full_width_characters_cannot_end_the_name_in_ascii_nor_lead_out_of_a_folder(name: str) -> None:
    assert filenames.fault(filenames.clean(name)) is None
    held = filenames.disposition(filenames.of(name, PDF))
    assert re.fullmatch(r"""attachment; filename="[^"\\/;%*]+\.pdf"; filename\*=UTF-8''[\w.~%-]+\.pdf""", held), held
