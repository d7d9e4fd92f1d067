"""On whose behalf? Businesses, memberships and the roles in them."""

from flask import Flask

from portal.businesses import commands, pages, switcher


def init_app(app: Flask) -> None:
    """Register this room's pages and commands."""
    app.register_blueprint(pages.bp)
    app.context_processor(switcher.known_to_templates)
    app.cli.add_command(commands.businesses)
    app.cli.add_command(commands.members)
