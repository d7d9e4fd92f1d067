"""`flask check`: is this portal fit for production? Settings, schema, keys, clock and files, each looked at as it is now.

What is wrong with a setting at all is refused at the start already; here a portal that runs is held to more.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from portal import db, schema
from portal.audit.models import AuditEvent
from portal.clients.models import Client
from portal.config import Settings
from portal.crypto import DecryptionError, Keyring
from portal.funds import storage
from portal.oauth import keys

SKEW = timedelta(seconds=10)


@click.command("check")
@with_appcontext
def check_command() -> None:
    """Look whether settings and schema are fit for production. Says what is not, a line each, and fails if anything is not.

    Lines that begin with "Advice" do not fail. Nothing is changed but a probe that is written into the store of documents and removed, and no secret is printed.
    """
    app: Any = current_app
    database = db.current_database()
    for line in advice(app.settings, os.environ):
        click.echo(f"Advice: {line}.")
    unfit = [
        *settings_faults(app.settings),
        *file_faults(Path(app.static_folder or "static")),
        *document_faults(app.extensions["portal-documents"], app.settings),
        *database_faults(database.pages, app.settings, app.keyring, Path(app.static_folder or "static"), now=db.utcnow()),
    ]
    for line in unfit:
        click.echo(f"Not fit: {line}.")
    if unfit:
        raise click.ClickException(f"{len(unfit)} {'thing is' if len(unfit) == 1 else 'things are'} not fit for production.")
    click.echo("Fit for production: settings, database, schema, signing keys, clock, documents, clients’ logos and static files.")


def advice(settings: Settings, environ: Mapping[str, str]) -> Iterator[str]:
    """What works, and could be better."""
    if settings.database_url.startswith("sqlite"):
        yield "SQLite has one writer: run one worker (WORKERS=1), or PostgreSQL when there are several"
    if settings.is_https and settings.trusted_proxies == 0:
        yield (
            "PORTAL_TRUSTED_PROXIES is 0 although the origin is https: behind a proxy all people would share its network address"
        )
    if settings.is_production and not settings.verify_key:
        yield "PORTAL_VERIFY_KEY is not set, so whoever reaches /oauth/verify can have uses counted that never were"
    if settings.mail_url.startswith("file:"):
        yield "PORTAL_MAIL_URL writes mail into a folder, where nobody gets it; the portal sends none yet"
    known = {"DATABASE_URL"} | {f"PORTAL_{field.name.upper()}" for field in fields(Settings)}
    for name in sorted(environ):
        if name.startswith("PORTAL_") and name not in known:
            yield f"{name} is not a setting of the portal; is it misspelt?"


def settings_faults(settings: Settings) -> Iterator[str]:
    if not settings.is_production:
        yield f"PORTAL_MODE is {settings.mode}, so insecure settings are not refused at the start"
    if not settings.is_https:
        yield "PORTAL_ISSUER is not https, so cookies and tokens travel in the open"
    for mistake in settings.insecurities():
        if not (mistake.startswith("PORTAL_ISSUER") and not settings.is_https):
            yield mistake


def file_faults(static: Path) -> Iterator[str]:
    """Whether every file that pages refer to can be read, by the user who runs this."""
    found = [path for path in sorted(static.rglob("*")) if not path.is_dir()]
    if not any(path.suffix == ".css" for path in found):
        yield "the static files are not there"
    for path in found:
        if not path.is_file() or not os.access(path, os.R_OK):
            yield f"the static file {path.relative_to(static)} cannot be read"


def document_faults(store: storage.Store, settings: Settings) -> Iterator[str]:
    """Whether a document can be stored and scanned: one is written and removed again."""
    try:
        storage.probe(store)
    except storage.StoreUnavailable as error:
        yield f"the store of documents that PORTAL_DOCUMENTS_URL names cannot be written ({error.detail})"
    if settings.scan_command and shutil.which(shlex.split(settings.scan_command)[0]) is None:
        yield "the scanner that PORTAL_SCAN_COMMAND names is not there, so no upload would be taken"


def database_faults(engine: Engine, settings: Settings, keyring: Keyring, static: Path, *, now: datetime) -> Iterator[str]:
    """What is wrong with the database and in it. What cannot be asked any more is not asked."""
    if settings.database_url in ("sqlite://", "sqlite:///:memory:"):
        yield "DATABASE_URL names a database in memory, which is gone at the end of each process"
        return
    try:
        at, head = schema.current(engine), schema.head()
        if at != head:
            yield f"the schema is at {at or 'nothing'}, not at {head}: flask db upgrade"
            return
        differences = len(schema.differences(engine))
        if differences:
            yield f"the schema differs from what the code expects in {differences} places, although it is at {head}"
            return
        checks: tuple[Callable[[], Iterator[str]], ...] = (
            lambda: durability_faults(engine),
            lambda: clock_faults(engine, now=now),
            lambda: key_faults(settings, keyring, now=now),
            lambda: logo_faults(static),
        )
        for check in checks:
            yield from check()
    except SQLAlchemyError as error:
        yield f"the database that DATABASE_URL names does not answer ({type(error).__name__})"
    finally:
        db.rollback()


def durability_faults(engine: Engine) -> Iterator[str]:
    """An ending of access that was answered must survive a loss of power."""
    if engine.dialect.name != "postgresql":
        return
    with engine.connect() as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            if connection.execute(text(f"SHOW {setting}")).scalar_one() == "off":
                yield f"PostgreSQL runs with {setting} off, so an ending of access may be lost with the power"


def clock_faults(engine: Engine, *, now: datetime) -> Iterator[str]:
    """Every life of a token is reckoned by this clock, and by the one of each other worker."""
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            there = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        if abs(there - now) > SKEW:
            yield f"the clock here and the one of the database are {abs(there - now).total_seconds():.0f} seconds apart"
    newest = db.session.scalar(select(func.max(AuditEvent.at)))
    if newest is not None and newest - now > SKEW:
        yield f"the clock is behind: something is recorded as of {newest:%Y-%m-%d %H:%M:%S} UTC"


def key_faults(settings: Settings, keyring: Keyring, *, now: datetime) -> Iterator[str]:
    signing = keys.signing(db.session)
    for algorithm in keys.ALGORITHMS:
        of_algorithm = [key for key in signing if key.algorithm == algorithm]
        if not of_algorithm:
            yield f"there is no signing key for {algorithm}: flask keys rotate"
        elif now - of_algorithm[0].created_at > timedelta(seconds=settings.signing_key_seconds):
            days = (now - of_algorithm[0].created_at).days
            yield f"the signing key for {algorithm} is {days} days old, which is over PORTAL_SIGNING_KEY_SECONDS: flask keys rotate"
    try:
        keys.check_readable(db.session, keyring)
    except DecryptionError:
        yield "the signing keys do not open with PORTAL_SECRET_KEY, which is another one than they were made under"


def logo_faults(static: Path) -> Iterator[str]:
    for client_id, logo in db.session.execute(select(Client.client_id, Client.logo).where(Client.logo.is_not(None))):
        if not (static / str(logo)).is_file():
            yield f"the logo of the client {client_id}, {logo}, is not below static/"
