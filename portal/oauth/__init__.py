"""The protocol: an OAuth 2.1 and OpenID Connect authorization server (RFC 6749, RFC 9700, OpenID Connect Core 1.0)."""

from flask import Flask
from flask_wtf import CSRFProtect


def init_app(app: Flask, csrf: CSRFProtect) -> None:
    """Register this room's endpoints."""
