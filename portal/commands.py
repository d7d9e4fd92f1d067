"""What every `flask` command has: it says in one clear line when the database could not do it, and ends with an error."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

import click
from flask.cli import AppGroup
from sqlalchemy.exc import DBAPIError, SQLAlchemyError


class Commands(AppGroup):
    """A group of commands. `hint` ends the line that tells of a failure, where something can be done about it."""

    def __init__(self, name: str, *, help: str, hint: str = "flask db upgrade makes what is missing.") -> None:
        super().__init__(name, help=help)
        self._hint = hint

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SQLAlchemyError as error:
            raise click.ClickException(
                f"The database did not take it: {_reason(error)}. Nothing was changed. {self._hint}"
            ) from None


class Later(click.Command):
    """A command whose file is imported only when it is called: no worker needs it, and its libraries take memory.

    `target` is where it is, as `portal.schema:group`.
    """

    def __init__(self, name: str, target: str, *, help: str) -> None:
        super().__init__(name, help=help)
        self._target = target

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        return self.load().make_context(info_name, args, parent=parent, **extra)

    def load(self) -> click.Command:
        """The command itself."""
        module, _, attribute = self._target.partition(":")
        return cast(click.Command, getattr(import_module(module), attribute))


def _reason(error: SQLAlchemyError) -> str:
    """The driver's own first line; those after it may hold values of a row, which are people's data."""
    lines = str(error.orig if isinstance(error, DBAPIError) else error).splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
