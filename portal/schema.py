"""The schema as a whole: every room's tables in one place, and the way from one version to the next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from flask import current_app
from sqlalchemy import Connection, Engine

from portal import interaction as _interaction
from portal.accounts import models as _accounts
from portal.api import models as _api
from portal.audit import models as _audit
from portal.businesses import models as _businesses
from portal.clients import models as _clients
from portal.commands import Commands
from portal.consents import models as _consents
from portal.db import Base, current_database, transaction, utcnow
from portal.funds import models as _funds
from portal.oauth import keys
from portal.oauth import models as _oauth

ROOMS = (_interaction, _audit, _accounts, _businesses, _clients, _consents, _oauth, _funds, _api)
"""Imported so that their tables are known."""

METADATA = Base.metadata

group = Commands("db", help="The database schema.", hint="")


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the schema to `revision`. Migrations run in one transaction, so a failed one leaves the schema as it was."""
    with engine.begin() as connection:
        command.upgrade(_config(connection), revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Take the schema back to `revision`; `base` empties it."""
    with engine.begin() as connection:
        command.downgrade(_config(connection), revision)


def current(engine: Engine) -> str | None:
    """The revision the database is at; None for one that was never migrated."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str | None:
    return ScriptDirectory.from_config(_config()).get_current_head()


def differences(engine: Engine) -> list[object]:
    """What the models say and the database does not, as Alembic tells it; empty when they agree."""
    with engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), METADATA))


@group.command("upgrade")
@click.argument("revision", default="head")
def upgrade_command(revision: str) -> None:
    """Bring the schema to REVISION (default: the newest), and make the first signing keys where there are none."""
    engine = current_database().pages
    before = current(engine)
    _migrate(upgrade, engine, revision)
    after = current(engine)
    click.echo("The schema is up to date." if before == after else f"Upgraded the schema to {after}.")
    if after == head():
        _ensure_keys()


def _migrate(walk: Callable[[Engine, str], None], engine: Engine, revision: str) -> None:
    try:
        walk(engine, revision)
    except CommandError as error:
        raise click.ClickException(f"{error}. Nothing was changed.") from None


def _ensure_keys() -> None:
    """A portal without signing keys is not ready; the first ones need nobody's decision, only later ones do."""
    app: Any = current_app
    with transaction() as session:
        kids = keys.ensure_keys(session, app.keyring, now=utcnow())
    if kids:
        click.echo(f"Made the signing keys that were missing: {', '.join(kids)}.")


@group.command("downgrade")
@click.argument("revision")
def downgrade_command(revision: str) -> None:
    """Take the schema back to REVISION; `base` removes every table."""
    _migrate(downgrade, current_database().pages, revision)
    click.echo(f"The schema is at {revision}.")


@group.command("revision")
@click.argument("message")
def revision_command(message: str) -> None:
    """Write a new migration from what the models say and the database does not."""
    with current_database().pages.connect() as connection:
        command.revision(_config(connection), message, autogenerate=True)
