"""Who is asking? Partner applications, their secrets and redirect URIs (RFC 6749 §2, RFC 7591)."""

from flask import Flask


def init_app(app: Flask) -> None:
    """Register this room's pages and commands."""
