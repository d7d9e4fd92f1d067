from __future__ import annotations

import sys
from pathlib import Path

import pytest

from portal.funds import scanning
from portal.funds.scanning import ContentRefused, ScannerUnavailable


def scanner(tmp_path: Path, code: str) -> str:
    """A command that runs `code` with the path of the upload in `path`."""
    program = tmp_path / "scanner.py"
    program.write_text(f"import os, sys, time\npath = sys.argv[-1]\n{code}\n")
    return f'"{sys.executable}" "{program}" --quiet'


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    file = tmp_path / "upload"
    file.write_text("EICAR")
    return file


def test_without_a_scanner_everything_passes(upload: Path) -> None:
    scanning.check(upload, "", seconds=1)


def test_a_clean_file_passes_and_the_scanner_reads_it(upload: Path, tmp_path: Path) -> None:
    scanning.check(upload, scanner(tmp_path, "sys.exit(open(path).read() != 'EICAR')"), seconds=30)


def test_an_infected_file_is_refused(upload: Path, tmp_path: Path) -> None:
    with pytest.raises(ContentRefused):
        scanning.check(upload, scanner(tmp_path, "sys.exit(1)"), seconds=30)


@pytest.mark.parametrize("code", ["sys.exit(2)", "os.kill(os.getpid(), 9)", "time.sleep(60)"])
def test_a_scanner_that_fails_or_hangs_lets_nothing_through(code: str, upload: Path, tmp_path: Path) -> None:
    with pytest.raises(ScannerUnavailable):
        scanning.check(upload, scanner(tmp_path, code), seconds=1)


@pytest.mark.parametrize("command", ["/nowhere/clamdscan", 'unclosed "quote'])
def test_a_scanner_that_is_not_there_lets_nothing_through(command: str, upload: Path) -> None:
    with pytest.raises(ScannerUnavailable):
        scanning.check(upload, command, seconds=5)


def test_the_scanner_is_not_told_the_secrets_of_the_portal(upload: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTAL_SECRET_KEY", "do-not-pass-on")
    scanning.check(upload, scanner(tmp_path, "sys.exit('PORTAL_SECRET_KEY' in os.environ)"), seconds=30)
