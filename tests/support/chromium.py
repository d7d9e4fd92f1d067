"""A real Chromium, held to this machine, and the accessibility rules of axe-core."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, expect

AXE = Path(__file__).parents[1] / "vendor" / "axe-core-4.14.1" / "axe-4.14.1.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
]


PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)


class NoChromiumError(RuntimeError):
    """There is no browser to test with; the message says how to get one."""


def executable(playwright: Playwright) -> str:
    """The system's Chromium, else the one that Playwright has downloaded."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    if Path(playwright.chromium.executable_path).exists():
        return playwright.chromium.executable_path
    raise NoChromiumError("There is no Chromium. Run `make test`, which installs one, or install Debian's package chromium.")


def launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=executable(playwright), args=ARGUMENTS, chromium_sandbox=False)


@contextmanager
def window(chromium: Browser, **options: Any) -> Iterator[BrowserContext]:
    """A browser window with cookies of its own, in Sydney, that does not wait for animations."""
    usual = {
        "locale": "en-AU",
        "timezone_id": "Australia/Sydney",
        "reduced_motion": "reduce",
        "viewport": {"width": 1280, "height": 800},
    }
    context = chromium.new_context(**usual | options)
    context.set_default_timeout(PATIENCE_MS)
    try:
        yield context
    finally:
        context.close()


class Complaints(list[str]):
    """What the browser complained about: errors of scripts, and of the content security policy."""

    def listen(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.append(f"script error on {page.url}: {error}"))
        page.on("console", lambda message: self._hear(page, message))

    def _hear(self, page: Page, message: ConsoleMessage) -> None:
        # That an answer was not 200 is for the test to judge.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.append(f"{page.url}: {message.text}")


@cache
def _axe_source() -> str:
    return AXE.read_text()


def axe(page: Page, *, within: str | None = None, only: str = "") -> list[str]:
    """What axe finds wrong on the page as it stands (or inside one selector), a line each; empty when nothing.

    All its rules, or `only` one of them.
    """
    page.wait_for_load_state()  # a click waits until the next page begins, not until its style is there
    if not page.evaluate("'axe' in window"):
        page.evaluate(_axe_source())
    rules = {"type": "rule", "values": [only]} if only else {"type": "tag", "values": RULES}
    options = {"runOnly": rules, "resultTypes": ["violations"]}
    found = page.evaluate("([root, options]) => axe.run(root || document, options)", [within, options])
    return [
        f"{rule['id']}: {rule['help']}: {node['target']} {node['html'][:200]} {node.get('failureSummary') or ''}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]
