"""What was allowed? The scope catalogue, the decisions people make, the consent page and the access table."""

from flask import Flask

from portal.accounts import sessions
from portal.accounts.sessions import current_settings
from portal.consents import access_pages, activity_pages, businesses_pages, commands, connect_pages, history_pages, lapsing, usage

COMMANDS = commands
"""Imported so that its commands are in the groups of the rooms below."""


def init_app(app: Flask) -> None:
    """Register this room's pages and commands."""
    for pages in (access_pages, activity_pages, businesses_pages, connect_pages, history_pages):
        app.register_blueprint(pages.bp)
    sessions.after_ending(lapsing.record_of_sessions)
    app.extensions[usage.EXTENSION] = usage.start(current_settings(app), app.extensions["portal-database"])
