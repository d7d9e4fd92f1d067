"""What the answers look like: JSON Schemas (2020-12, as OpenAPI 3.1 takes them), by the name that the table of calls uses."""

from __future__ import annotations

from typing import Any

from portal.businesses.roles import ROLES
from portal.consents.catalogue import CATALOGUE
from portal.funds.models import FUND_STATUSES

Schema = dict[str, Any]


def _object(properties: Schema, *, optional: tuple[str, ...] = ()) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
    }


def _list_of(name: str) -> Schema:
    return _object({"data": {"type": "array", "items": reference(name)}})


def reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _text(description: str, **more: Any) -> Schema:
    return {"type": "string", "description": description, **more}


ID = _text("Opaque and stable.", examples=["01jzc9x3m0v5k8q2n7d4t6h1rb"])
ABN = _text("Australian Business Number: eleven digits, valid by checksum.", pattern="^[0-9]{11}$", examples=["51824753556"])
MONEY = _text("Australian dollars as an exact decimal.", pattern=r"^-?[0-9]+\.[0-9]{2}$", examples=["418250.75"])
DATE = {"type": "string", "format": "date"}

FUND_SUMMARY: Schema = {
    "id": ID,
    "code": _text("The short code people know the fund by.", examples=["THOR01"]),
    "name": {"type": "string"},
    "status": {"type": "string", "enum": list(FUND_STATUSES)},
    "tags": {"type": "array", "items": {"type": "string"}},
    "latest_period_update": {"type": ["string", "null"], "format": "date", "description": "Until when the fund is processed."},
    "legal_entity_type": {"type": "string", "examples": ["Self-managed superannuation fund"]},
    "abn": ABN,
}
ADDRESS_LINES = ("street_address", "locality", "region", "postal_code", "country")

SCHEMAS: dict[str, Schema] = {
    "FundSummary": _object(FUND_SUMMARY),
    "FundPage": _object(
        {
            "data": {"type": "array", "items": reference("FundSummary")},
            "next_cursor": {
                "type": ["string", "null"],
                "description": "Pass it as `cursor` for the next page; null after the last one.",
            },
        }
    ),
    "Fund": _object({**FUND_SUMMARY, "address": reference("Address")}),
    "Address": _object({line: {"type": "string"} for line in ADDRESS_LINES}, optional=ADDRESS_LINES),
    "Member": _object(
        {
            "id": ID,
            "given_name": {"type": "string"},
            "family_name": {"type": "string"},
            "date_of_birth": DATE,
            "joined_on": DATE,
            "phase": {"type": "string", "enum": ["accumulation", "pension"]},
            "balance": MONEY,
        }
    ),
    "Members": _list_of("Member"),
    "Business": _object({"id": ID, "name": {"type": "string"}, "abn": ABN, "code": {"type": "string"}}),
    "User": _object(
        {
            "given_name": {"type": "string"},
            "middle_name": {"type": ["string", "null"]},
            "family_name": {"type": "string"},
            "email": {"type": "string", "format": "email"},
            "role": {"type": "string", "enum": list(ROLES)},
            "scopes_granted": {
                "type": "array",
                "items": {"type": "string", "enum": list(CATALOGUE)},
                "description": "What this person allows the calling application in this business today.",
            },
            "invitation_status": {"type": "string", "enum": ["invited", "accepted"]},
        }
    ),
    "Users": _list_of("User"),
    "Problem": _object(
        {
            "type": _text("What kind of problem it is.", format="uri", examples=["urn:portal:problem:bad-request"]),
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": _text("What happened and what to do next, in words."),
            "instance": _text("The reference number of this call, which is in the portal’s log.", format="uri"),
            "error": _text("The error code of RFC 6750 §3.1, when the token is the matter."),
            "reason": _text("Why the token is dead, in a word to act on."),
            "scope": _text("The scope that the call needs."),
            "scope_of_token": _text("What the token opens today."),
            "parameter": _text("The query parameter that cannot be used."),
        },
        optional=("error", "reason", "scope", "scope_of_token", "parameter"),
    ),
}
