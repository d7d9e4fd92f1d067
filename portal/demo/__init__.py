"""Sample data and the sample partner's registration; only ever in a demo database."""

from flask import Flask


def init_app(app: Flask) -> None:
    """Register this room's pages and commands."""
