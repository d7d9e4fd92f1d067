"""The data: retirement funds, their members, pension accounts and documents."""

from typing import cast

from flask import Flask

from portal.config import Settings
from portal.funds import commands, storage


def init_app(app: Flask) -> None:
    """Open the store of documents, and register this room's commands."""
    app.extensions["portal-documents"] = storage.store_of(cast(Settings, app.settings))  # type: ignore[attr-defined]
    app.cli.add_command(commands.documents)
