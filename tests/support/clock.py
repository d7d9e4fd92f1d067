"""Time that a test can move: everything that asks `portal.db.utcnow` sees it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

import pytest

from portal import db


class Clock:
    """Runs like the real one, and jumps when told. It does not reach into other processes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ahead = timedelta()
        clock = self

        class Moved(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
                return datetime.now(tz) + clock._ahead

        monkeypatch.setattr(db, "datetime", Moved)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, **duration: float) -> datetime:
        """Jump ahead by a timedelta's arguments, such as `minutes=31`. Returns the new time."""
        self._ahead += timedelta(**duration)
        return self.now()
