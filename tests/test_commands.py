from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskCliRunner

from portal import create_app
from portal.commands import Commands
from portal.config import Settings
from tests.conftest import SECRET_KEY

ASKS = (
    "users disable alice@acme.example", "sessions prune", "businesses list", "members list ACME", "clients list",
    "businesses add --name Wombat --abn 53004085616 --code W", "members add bob@acme.example ACME fund_auditor", "clients show x",
    "keys list", "keys rotate", "keys prune", "tokens prune",
)  # fmt: skip
"""Each with what the database is asked first; commands of every group."""


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[FlaskCliRunner]:
    app = create_app(Settings(mode="test", secret_key=SECRET_KEY, database_url=empty_database_url))
    yield app.test_cli_runner()
    app.extensions["portal-database"].dispose()


def test_without_the_schema_each_command_says_so_in_one_line(empty: FlaskCliRunner) -> None:
    for words in ASKS:
        result = empty.invoke(args=words.split())
        assert result.exit_code == 1 and result.output.startswith("Error: The database did not take it: "), words
        assert result.output.endswith("Nothing was changed. flask db upgrade makes what is missing.\n"), words
        assert result.output.count("\n") == 1, words


@pytest.mark.parametrize("words", ["db upgrade", "db downgrade base", "businesses list"])
def test_a_database_that_does_not_answer_is_told_without_its_password(words: str) -> None:
    url = "postgresql://portal:the-password@127.0.0.1:1/nothing"
    result = (
        create_app(Settings(mode="test", secret_key=SECRET_KEY, database_url=url)).test_cli_runner().invoke(args=words.split())
    )
    assert result.exit_code == 1 and "refused" in result.output and "the-password" not in result.output
    assert result.output.count("\n") == 1


@pytest.mark.parametrize("words", ["db upgrade", "db downgrade"])
def test_a_revision_that_is_not_there_is_told_in_one_line(empty: FlaskCliRunner, words: str) -> None:
    result = empty.invoke(args=[*words.split(), "nowhere"])
    assert result.exit_code == 1 and "nowhere" in result.output and result.output.count("\n") == 1


def test_every_group_is_one_of_ours(empty: FlaskCliRunner) -> None:
    groups = [one for one in empty.app.cli.commands.values() if hasattr(one, "commands")]
    assert len(groups) > 6 and [one.name for one in groups if not isinstance(one, Commands)] == ["demo"]
