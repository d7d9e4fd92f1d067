"""What a session's browser is called, so that its owner knows it again. A guess for people; nothing is decided by it."""

from __future__ import annotations

BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
)
"""The first that is found counts: many browsers name the others too."""
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "Mac"),
    ("Linux", "Linux"),
)


def name_browser(user_agent: str | None) -> str:
    """`Firefox on Windows`, `Safari on iPhone`, or `Unknown browser`."""
    agent = user_agent or ""
    browser = next((name for sign, name in BROWSERS if sign in agent), "Unknown browser")
    system = next((name for sign, name in SYSTEMS if sign in agent), None)
    return f"{browser} on {system}" if system else browser
