"""Who is this person? Sign-in, second factor, sessions, profile."""

from flask import Flask
from flask_login import LoginManager

from portal.accounts import pages
from portal.accounts.passwords import Passwords
from portal.accounts.sessions import current_settings


def init_app(app: Flask, login: LoginManager) -> None:
    """Register this room's pages and commands."""
    app.extensions["portal-passwords"] = Passwords(current_settings(app))
    app.register_blueprint(pages.bp)
    login.unauthorized_handler(pages.ask_to_sign_in)
