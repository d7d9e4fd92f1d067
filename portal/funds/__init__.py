"""The data: retirement funds, their members, pension accounts and documents."""

from flask import Flask


def init_app(app: Flask) -> None:
    """Register this room's pages and commands."""
