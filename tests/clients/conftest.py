from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal import Portal, db
from portal.audit.models import AuditEvent
from portal.clients.models import Client

DOCUMENT: dict[str, Any] = {
    "client_name": "Quokka Ledger",
    "publisher": "Quokka Software Pty Ltd",
    "client_uri": "https://quokka.example",
    "redirect_uris": ["https://quokka.example/callback"],
    "scope": "funds.summary openid",
    "required_scopes": ["openid"],
    "scope_reasons": {"openid": "So that you sign in with the account you have."},
}


class Office:
    """The operator at the command line, and what became of it."""

    def __init__(self, app: Portal) -> None:
        self.app = app

    def run(self, *arguments: str, document: Any = None) -> Result:
        """Run `flask clients …`; a `document` goes to standard input."""
        given = document if isinstance(document, bytes | str) else json.dumps(document)
        return self.app.test_cli_runner().invoke(args=["clients", *arguments], input=given)

    def register(self, *flags: str, **changes: Any) -> dict[str, Any]:
        done = self.run("register", "--json", "-", *flags, document={**DOCUMENT, **changes})
        assert done.exit_code == 0, done.output
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def refused(self, *flags: str, document: Any = None, **changes: Any) -> str:
        """The one line that says why nothing was registered, after a look that nothing was."""
        before = self.count()
        done = self.run("register", "--json", "-", *flags, document=document or {**DOCUMENT, **changes})
        assert self.count() == before
        return one_line(done)

    def client(self, client_id: str) -> Client:
        with self.app.app_context():
            return db.session.get_one(Client, client_id)

    def count(self) -> tuple[int, int]:
        with self.app.app_context():
            return len(all_of(db.session, Client)), len(all_of(db.session, AuditEvent))

    def events(self, client_id: str) -> list[AuditEvent]:
        with self.app.app_context():
            query = select(AuditEvent).where(AuditEvent.client_id == client_id)
            return list(db.session.scalars(query.order_by(AuditEvent.at, AuditEvent.id)))


def all_of(session: Session, model: type[db.Base]) -> list[Any]:
    return list(session.scalars(select(model)))


def one_line(done: Result) -> str:
    assert done.exit_code == 1, done.output
    assert done.stdout == "", done.stdout
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("Error: "), lines
    return lines[0]


@pytest.fixture
def office(app: Portal) -> Office:
    return Office(app)
