"""Who is asking? Partner applications, their secrets and redirect URIs (RFC 6749 §2, RFC 7591)."""

from pathlib import Path

from flask import Flask

from portal.clients import commands
from portal.clients.metadata import Rules


def init_app(app: Flask, *, scopes: tuple[str, ...], signing_algorithms: tuple[str, ...]) -> None:
    """Register this room's commands. The arguments are what a registration is held to and only rooms above know."""
    settings = app.settings  # type: ignore[attr-defined]
    app.extensions["portal-registration"] = Rules(
        scopes=scopes,
        signing_algorithms=signing_algorithms,
        static=Path(app.static_folder or "static"),
        brand=settings.brand,
        is_production=settings.is_production,
    )
    app.cli.add_command(commands.group)
