"""Who is this person? Sign-in, second factor, sessions, profile."""

from flask import Flask
from flask_login import LoginManager
from flask_wtf.csrf import CSRFError

from portal.accounts import account, commands, enrolment, out_of_date, pages
from portal.accounts.passwords import Passwords
from portal.accounts.sessions import current_settings

PAGES = (pages, enrolment, account)
"""Imported so that their routes are on the blueprint."""


def init_app(app: Flask, login: LoginManager) -> None:
    """Register this room's pages and commands."""
    app.extensions["portal-passwords"] = Passwords(current_settings(app))
    app.register_blueprint(pages.bp)
    app.cli.add_command(commands.users_group)
    app.cli.add_command(commands.sessions_group)
    app.register_error_handler(CSRFError, out_of_date.answer)
    login.unauthorized_handler(pages.ask_to_sign_in)
