from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.partner import authority as authorities
from tests.partner.authority import Authority
from tests.partner.conftest import Browser, html_from_a_proxy, words
from tests.support.partner import Partner, running
from tests.support.server import ROOT, free_port

FOLDER = ROOT / "examples" / "partner"


def test_a_portal_that_is_down_is_told_in_words_and_found_when_it_is_up(tmp_path: Path) -> None:
    port = free_port()
    with running(f"http://127.0.0.1:{port}", tmp_path / "partner") as partner:
        browser = Browser(partner)
        with browser.http:
            page = browser.get("/connect")
            assert page.status_code == 502 and "Class cannot be reached" in words(page) and "Try again" in words(page)
            _authority, stop = authorities.serve(port)
            try:
                assert "Acme Super Services" in words(browser.connect())
            finally:
                stop()
            assert "Class cannot be reached" in words(browser.get("/"))


def test_a_portal_that_is_just_starting_is_waited_for(tmp_path: Path) -> None:
    port = free_port()
    started: list[Callable[[], None]] = []

    def start_late() -> None:
        time.sleep(0.4)
        started.append(authorities.serve(port)[1])

    with running(f"http://127.0.0.1:{port}", tmp_path / "partner") as partner:
        browser = Browser(partner)
        starting = threading.Thread(target=start_late)
        starting.start()
        with browser.http:
            assert browser.http.get("/connect").status_code == 302
        starting.join()
        started[0]()


def test_metadata_that_cannot_be_used_is_told_in_words_and_read_anew(tmp_path: Path) -> None:
    authority, stop = authorities.serve()
    honest = authority.metadata()
    path = "/.well-known/openid-configuration"
    bad: list[Callable[[], Any]] = [
        html_from_a_proxy(),
        html_from_a_proxy(503),
        lambda: "[]",
        lambda: "7",
        dict,
        lambda: {**honest, "issuer": "https://attacker.example"},
        lambda: {**honest, "issuer": f"{authority.url}/"},
        lambda: ("", 302, {"Location": "http://127.0.0.1:1/"}),
    ]
    try:
        with running(authority.url, tmp_path / "partner") as partner:
            browser = Browser(partner)
            with browser.http:
                for answer in bad:
                    authority.answers[path] = answer
                    page = browser.get("/connect")
                    assert page.status_code == 502 and "an answer that Ledgerly cannot read" in words(page)
                authority.answers.clear()
                assert "Acme Super Services" in words(browser.connect())
            assert "Traceback" not in partner.log
    finally:
        stop()


def test_sessions_and_connections_outlive_a_restart_and_the_file_is_private(tmp_path: Path) -> None:
    authority, stop = authorities.serve()
    try:
        with running(authority.url, tmp_path / "partner") as partner:
            browser = Browser(partner)
            browser.connect()
            cookie = browser.http.cookies["ledgerly_session"]
            browser.http.close()
        (file,) = (tmp_path / "partner").glob("*.sqlite3")
        assert file.stat().st_mode & 0o077 == 0 and cookie.encode() not in file.read_bytes()
        with running(authority.url, tmp_path / "partner", PORTAL_BRAND="Acme <Portal>") as partner:
            browser = Browser(partner)
            browser.http.headers["Cookie"] = f"ledgerly_session={cookie}"
            with browser.http:
                page = browser.get("/")
        assert "through Acme <Portal>" in words(page) and "<Portal>" not in page.text and "Thornbury" in page.text
    finally:
        stop()


@pytest.mark.parametrize("path", ["/", "/nothing", "/callback", "/people"])
def test_every_page_forbids_scripts_frames_and_caches(visitor: Browser, path: str) -> None:
    page = visitor.get(path)
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'") and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert page.headers["Cache-Control"] == "no-store" and page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("file", sorted((FOLDER / "templates").glob("*.html")), ids=lambda file: file.name)
def test_a_template_has_no_script_no_inline_style_and_trusts_no_text(file: Path) -> None:
    text = re.sub(r"\{#.*?#\}", "", file.read_text(), flags=re.DOTALL)
    assert file.read_text().startswith("{#")
    assert not re.search(r"<script|\sstyle=|<style|\son[a-z]+=|javascript:|\|\s*safe", text)
    for form in re.findall(r"<form.*?</form>", text, re.DOTALL):
        assert 'method="post"' in form and "csrf_token" in form


def test_the_log_has_paths_without_their_query(visitor: Browser, partner: Partner, authority: Authority) -> None:
    visitor.connect("/connect?add=funds.write")
    assert "GET /callback 303" in partner.log and "GET /connect 302" in partner.log
    assert "?" not in partner.log and "DEBUG" not in partner.log


def test_the_program_is_short_enough_to_read_in_five_minutes() -> None:
    lengths = {file.name: len(file.read_text().splitlines()) for file in FOLDER.glob("*.py")}
    assert lengths["app.py"] <= 250 and all(length <= 250 for length in lengths.values()), lengths
    readme = (FOLDER / "README.md").read_text()
    assert all(name in readme for name in lengths)
