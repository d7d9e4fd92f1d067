"""Things that a call names by id: what the business has, and one refusal for what it has not.

What belongs to another business and what never was are refused alike, in the same words and after the same look-up by the
primary key. What could be no id is refused in these words too, before any look-up: that it is none can be seen from itself.
"""

from __future__ import annotations

import re
from typing import TypeVar

from portal.api.registry import Call
from portal.errors import NotFound
from portal.funds.telling import Partner
from portal.oauth.tokens import AccessLookup

OBJECT_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
Thing = TypeVar("Thing")


def checked(object_id: str, kind: str) -> str:
    """The id, when it could be one; what could not is as unknown as one that never was."""
    if OBJECT_ID.fullmatch(object_id) is None:
        raise unknown(kind)
    return object_id


def found(thing: Thing | None, kind: str) -> Thing:
    """What was looked for inside the business. Raises NotFound when it is not there."""
    if thing is None:
        raise unknown(kind)
    return thing


def unknown(kind: str) -> NotFound:
    return NotFound(
        f"This business has no such {kind}. Take ids from the lists of this business.",
        title=f"No such {kind}",
        detail=f"unknown {kind}",
    )


def partner(call: Call) -> Partner:
    """Who is told to have changed something."""
    return partner_of(call.access)


def partner_of(access: AccessLookup) -> Partner:
    return Partner(client_id=access.client_id, consent_id=access.consent_id, business_id=access.business_id)
