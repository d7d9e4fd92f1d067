"""The resource server: the JSON API that partners call with an access token (RFC 6750)."""

from flask import Flask
from flask_wtf import CSRFProtect


def init_app(app: Flask, csrf: CSRFProtect) -> None:
    """Register this room's endpoints."""
