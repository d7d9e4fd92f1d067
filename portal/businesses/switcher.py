"""The list of one's businesses in the header of signed-in pages, read only by templates that show it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from flask_login import current_user

from portal import db
from portal.businesses import membership
from portal.businesses.models import Business


class MyBusinesses:
    """The businesses of the person signed in, by name: one query at the first look, none when nobody looks."""

    @cached_property
    def _found(self) -> list[Business]:
        if not current_user.is_authenticated:
            return []
        return [member.business for member in membership.list_active(db.session, current_user.id)]

    def __iter__(self) -> Iterator[Business]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __getitem__(self, part: slice) -> list[Business]:
        return self._found[part]


def known_to_templates() -> dict[str, MyBusinesses]:
    return {"nav_businesses": MyBusinesses()}
