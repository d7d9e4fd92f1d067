"""The calls on the business of the token and its users."""

from __future__ import annotations

from portal.api import directory
from portal.api.registry import Body, Call, endpoint
from portal.errors import NotFound


@endpoint("/business", scope="business.read", answer="Business")
def get_business(call: Call) -> Body:
    """Read the business that this access is for."""
    row = directory.find_business(call.connection, call.business_id)
    if row is None:
        raise NotFound
    return dict(zip(directory.BUSINESS_FIELDS, row, strict=True))


@endpoint("/business/users", scope="business.read", answer="Users")
def list_users_of_business(call: Call) -> Body:
    """List the users of the business, invited ones included, with what each allowed this application."""
    users = directory.list_users(call.connection, call.business_id, client_id=call.access.client_id, now=call.now)
    return {"data": users}
