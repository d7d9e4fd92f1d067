"""Who is this person? Sign-in, second factor, sessions, profile."""

from flask import Flask
from flask_login import LoginManager


def init_app(app: Flask, login: LoginManager) -> None:
    """Register this room's pages and commands."""
