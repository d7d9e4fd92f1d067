from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import bindparam, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from portal import Portal, db
from portal.audit.models import AuditEvent
from portal.funds import listing
from portal.statements import Prepared

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
_event = db.table_of(AuditEvent)
FACTS = ("id", "at", "kind", "detail")
STORE = Prepared(insert(_event).values({name: bindparam(name, type_=_event.c[name].type) for name in FACTS}))
FIND = Prepared(select(*(_event.c[name] for name in FACTS)).where(_event.c.kind == bindparam("kind")).order_by(_event.c.id))
RENAME = Prepared(update(_event).where(_event.c.kind == bindparam("old")).values(kind=bindparam("new")))


def store(connection: db.Connection, *ids: str) -> None:
    for event_id in ids:
        STORE.run(connection, id=event_id, at=NOW, kind="told", detail={"of": ["Zoë", 1]})


def test_a_row_has_its_columns_as_attributes_and_their_python_types(app: Portal) -> None:
    with app.app_context(), db.reader() as connection:
        store(connection, "one")
        row = FIND.first(connection, kind="told")
        assert (row.id, row.at, row.detail) == ("one", NOW, {"of": ["Zoë", 1]})
        assert row.at.tzinfo is UTC


def test_no_row_is_none_and_many_are_a_list(app: Portal) -> None:
    with app.app_context(), db.reader() as connection:
        assert FIND.first(connection, kind="told") is None
        store(connection, "one", "two")
        assert [row.id for row in FIND.rows(connection, kind="told")] == ["one", "two"]


def test_a_change_tells_how_many_rows_it_changed_and_is_kept_at_once(app: Portal) -> None:
    with app.app_context(), db.reader() as connection:
        store(connection, "one", "two")
        assert RENAME.run(connection, old="told", new="retold") == 2
        assert RENAME.run(connection, old="told", new="retold") == 0
    with app.app_context(), db.reader() as another:
        assert len(FIND.rows(another, kind="retold")) == 2


def test_one_plan_serves_all_values(app: Portal, database_kind: str) -> None:
    if database_kind == "sqlite":
        pytest.skip("a plan is part of the statement there")
    page = listing.statement(status=False, tag=False, q=False, after=False)
    with app.app_context(), db.reader() as connection:
        for number in range(10):
            page.rows(connection, business_id=f"business-{number}", rows=21)
        made = text("SELECT sum(generic_plans), sum(custom_plans) FROM pg_prepared_statements WHERE statement LIKE :of")
        assert connection.execute(made, {"of": "%FROM funds%"}).one() == (10, 0)


def test_what_the_database_refuses_is_the_same_error_as_ever(app: Portal) -> None:
    with app.app_context(), db.reader() as connection:
        store(connection, "one")
        with pytest.raises(IntegrityError):
            store(connection, "one")
        assert len(FIND.rows(connection, kind="told")) == 1


def test_in_a_transaction_it_is_part_of_it_again_after_a_rollback_too(app: Portal) -> None:
    with app.app_context():
        for _round in range(3):
            store(db.session.connection(), "one")
            assert FIND.first(db.session.connection(), kind="told").id == "one"
            assert RENAME.run(db.session.connection(), old="told", new="retold") == 1
            db.rollback()
        with db.reader() as connection:
            assert FIND.rows(connection, kind="told") == FIND.rows(connection, kind="retold") == []


def test_when_the_database_went_away_one_request_fails_however_many_connections_were_at_hand(
    app: Portal, database_kind: str
) -> None:
    if database_kind == "sqlite":
        return  # a file has no connection to lose
    served_by = text("SELECT pg_backend_pid()")
    with app.app_context():
        with db.reader() as one, db.reader() as two:
            store(one, "one")
            lost = {one.execute(served_by).scalar_one(), two.execute(served_by).scalar_one()}
        with db.reader() as again:
            assert again.execute(served_by).scalar_one() in lost
        with db.current_database().pages.connect() as other:
            for process in lost:
                other.execute(text(f"SELECT pg_terminate_backend({process})"))
        with pytest.raises(DBAPIError), db.reader() as connection:
            FIND.first(connection, kind="told")
        for _request in range(2):
            with db.reader() as connection:
                assert FIND.first(connection, kind="told").id == "one"


def test_a_connection_that_died_fails_one_request_and_is_replaced(app: Portal, database_kind: str) -> None:
    if database_kind == "sqlite":
        return  # a file has no connection to lose
    with app.app_context():
        with db.reader() as connection:
            store(connection, "one")
            served_by = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with db.current_database().pages.connect() as other:
            other.execute(text(f"SELECT pg_terminate_backend({served_by})"))
        with pytest.raises(DBAPIError), db.reader() as connection:
            FIND.first(connection, kind="told")
        with db.reader() as connection:
            assert FIND.first(connection, kind="told").id == "one"
