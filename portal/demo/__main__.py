"""`python -m portal.demo`, which `make demo` runs: the portal with its demo data, and the sample partner beside it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from portal import ROOT, create_app, db, schema
from portal.config import Settings, SettingsError
from portal.demo import commands, data, launch
from portal.demo.launch import CannotStartError, Server
from portal.demo.people import PASSWORD, PEOPLE, TOTP_SECRET
from portal.funds import storage

PARTNER_STORE = "sample-partner"
"""The directory, beside the database, of what the sample partner remembers."""
DOCUMENTS = "documents"
"""The directory, beside the database, of the contents of documents, unless PORTAL_DOCUMENTS_URL names another."""
SQLITE_FILES = ("", "-wal", "-shm")


def main() -> int:
    """Run the demo until Ctrl-C. Returns the exit status."""
    launch.on_terminate_as_on_ctrl_c()
    servers: list[Server] = []
    try:
        port, partner_port = _ports()
        settings = _settings(port)
        click.echo(_prepare(settings, f"http://{launch.HOST}:{partner_port}"))
        servers.extend(_start(port, partner_port, _home(settings)))
        for server in servers:
            server.wait_until_ready()
        click.echo(_invitation(settings, partner_port))
        launch.wait_while_running(servers, lambda: click.echo(f"  Code right now       {commands.code()}"))
    except KeyboardInterrupt:
        click.echo("\nThe demo has ended. Its data is kept; `make demo RESET=1` starts over.")
    except (CannotStartError, SettingsError, click.ClickException) as error:
        click.echo(f"The demo does not run: {error}", err=True)
        return 1
    finally:
        launch.let_nothing_interrupt()
        for server in servers:
            server.stop()
    return 0


def _ports() -> tuple[int, int]:
    port = launch.port_of(os.environ, "PORT", 5000)
    partner_port = launch.port_of(os.environ, "PARTNER_PORT", commands.PARTNER_PORT)
    if port == partner_port:
        raise CannotStartError(f"PORT and PARTNER_PORT are both {port}. Choose two: make demo PORT=5000 PARTNER_PORT=5001")
    return port, partner_port


def _settings(port: int) -> Settings:
    """The settings of the demo; the portal's process gets the same through the environment."""
    os.chdir(ROOT)
    os.environ["PORTAL_MODE"] = "demo"
    os.environ["PORTAL_ISSUER"] = f"http://{launch.HOST}:{port}"
    home = _home(Settings.from_environment(os.environ))
    os.environ.setdefault("PORTAL_DOCUMENTS_URL", f"file:{home / DOCUMENTS}")
    return Settings.from_environment(os.environ)


def _home(settings: Settings) -> Path:
    """Where the demo keeps its files: beside its SQLite file, else in instance/."""
    url = make_url(settings.database_url)
    is_file = url.get_backend_name() == "sqlite" and url.database
    return Path(str(url.database)).resolve().parent if is_file else ROOT / "instance"


def _prepare(settings: Settings, partner_origin: str) -> str:
    """Migrate, start over if asked to, and load what is missing. Returns what was done."""
    if os.environ.get("RESET", "0") not in ("", "0"):
        _forget(settings)
    app = create_app(settings)
    with app.app_context():
        database = db.current_database()
        try:
            if schema.current(database.pages) != schema.head():
                schema.upgrade(database.pages)
        except SQLAlchemyError as error:
            raise CannotStartError(f"The database {database.url!r} could not be prepared ({type(error).__name__}).") from None
        try:
            return commands.load(settings, app.keyring, partner_origin=partner_origin)
        finally:
            db.close()
            database.dispose()


def _forget(settings: Settings) -> None:
    """Remove the demo's SQLite file, after a look inside: never one with other people's data. Raises CannotStartError."""
    url = make_url(settings.database_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        raise CannotStartError("RESET=1 removes only an SQLite file. Empty the database that DATABASE_URL names yourself.")
    path = Path(url.database)
    if not path.exists():
        return
    if _holds_other_data(settings):
        raise CannotStartError(f"{path} holds other people’s data, so RESET=1 leaves it alone. Nothing was changed.")
    remembered = (path.parent / PARTNER_STORE).glob("*.sqlite3*")
    for file in (*(Path(f"{path}{suffix}") for suffix in SQLITE_FILES), *remembered):
        file.unlink(missing_ok=True)
    if settings.documents_url == f"file:{path.resolve().parent / DOCUMENTS}":
        store = storage.store_of(settings)
        for content in list(store.contents()):
            store.remove(content.address)


def _holds_other_data(settings: Settings) -> bool:
    app = create_app(settings)
    with app.app_context():
        try:
            return data.state(db.session) == data.FOREIGN
        except SQLAlchemyError:  # no table of ours is in it
            return False
        finally:
            db.close()
            db.current_database().dispose()


def _start(port: int, partner_port: int, home: Path) -> Iterator[Server]:
    """Start one after the other, so that whoever counts them can end those that run."""
    store = home / PARTNER_STORE
    store.mkdir(parents=True, exist_ok=True)
    environ = {**os.environ, "PARTNER_PORT": str(partner_port), "PARTNER_INSTANCE": str(store)}
    programs = (
        ("portal", launch.portal_command(port), port, "/readyz"),
        ("sample partner", launch.partner_command(ROOT), partner_port, "/"),
    )
    for name, command, at, path in programs:
        yield Server.start(name, command, port=at, path=path, log=home / f"{name.replace(' ', '-')}.log", environ=environ)


def _invitation(settings: Settings, partner_port: int) -> str:
    """Where to go, and who can sign in with what."""
    who = [person for person in PEOPLE if person.can_sign_in]
    width = max(len(person.email) for person in who) + 2
    people = "\n".join(f"    {person.email:<{width}}{person.about}" for person in who)
    return f"""
  The sample partner   http://{launch.HOST}:{partner_port}   start here: Connect
  The portal           {settings.issuer}

  Sign in as
{people}

  Password             {PASSWORD}
  Authenticator key    {TOTP_SECRET}
  Code right now       {commands.code()}
  The next codes       PORTAL_MODE=demo {_flask()} demo code

  Enter shows the code of the moment, Ctrl-C ends both. Logs are in {_shown(_home(settings))}/.
"""


def _flask() -> str:
    beside = Path(sys.executable).with_name("flask")
    return _shown(beside) if beside.exists() else "flask"


def _shown(path: Path) -> str:
    """A path as the reader would type it, standing in the project."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


if __name__ == "__main__":
    sys.exit(main())
