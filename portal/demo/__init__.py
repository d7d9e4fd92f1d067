"""Sample data and the sample partner's registration; only ever in a demo database."""

from flask import Flask

from portal.demo import commands


def init_app(app: Flask) -> None:
    """Register this room's commands."""
    app.cli.add_command(commands.group)
