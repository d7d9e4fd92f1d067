"""Sample data and the sample partner's registration, only ever in a demo database; and the style guide, only for development."""

from typing import Any, cast

from flask import Flask

from portal.demo import commands, styleguide


def init_app(app: Flask) -> None:
    """Register this room's commands and, in development, its page."""
    app.cli.add_command(commands.group)
    if cast(Any, app).settings.mode in ("development", "test"):
        app.register_blueprint(styleguide.bp)
