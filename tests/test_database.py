from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from portal.config import Settings
from portal.db import Database


def database_at(url: str) -> Database:
    return Database(Settings(mode="test", database_url=url))


def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    database = database_at(f"sqlite:///{tmp_path}/portal.sqlite3")
    for engine in (database.pages, database.machine):
        with engine.connect() as connection:
            connection.execute(text("CREATE TABLE IF NOT EXISTS something (value)"))
            files = list(tmp_path.iterdir())
            assert len(files) >= 2  # the write-ahead log holds data too
            assert [file.name for file in files if file.stat().st_mode & 0o077] == []
            connection.commit()
    database.dispose()


def test_an_error_does_not_repeat_the_values_of_its_statement(database_url: str) -> None:
    database = database_at(database_url)
    for engine in (database.pages, database.machine):
        with engine.connect() as connection, pytest.raises(DBAPIError) as failed:
            connection.execute(text("SELECT nothing FROM nowhere WHERE name = :name"), {"name": "Alice Hartigan"})
        assert "Hartigan" not in str(failed.value) and "nowhere" in str(failed.value)
    database.dispose()
