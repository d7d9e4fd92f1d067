"""On whose behalf? Businesses, memberships and the roles in them."""

from flask import Flask


def init_app(app: Flask) -> None:
    """Register this room's pages and commands."""
