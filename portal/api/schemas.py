"""What is told and taken: JSON Schemas (2020-12, as OpenAPI 3.1 takes them), by the name that the table of calls uses.

What is taken in is declared here once: the schema that OpenAPI publishes is the one that bodies are held to.
"""

from __future__ import annotations

from typing import Any

from portal.businesses.roles import ROLES
from portal.consents.catalogue import CATALOGUE
from portal.funds.kinds import KINDS
from portal.funds.models import DOCUMENT_TYPES, FUND_STATUSES, MEMBER_PHASES, PENSION_KINDS
from portal.funds.reference_data import ACCOUNT_TYPES, LISTS

Schema = dict[str, Any]


def _object(properties: Schema, *, optional: tuple[str, ...] = ()) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
    }


def _list_of(name: str) -> Schema:
    return _object({"data": {"type": "array", "items": reference(name)}})


def _page_of(name: str) -> Schema:
    return _object({"data": {"type": "array", "items": reference(name)}, "next_cursor": NEXT_CURSOR})


def _taken(properties: Schema, *, optional: tuple[str, ...] = ()) -> Schema:
    """An object that is sent: a name it does not have is a mistake and is said to be one."""
    return {**_object(properties, optional=optional), "additionalProperties": False}


def _patch(properties: Schema, *, removable: tuple[str, ...] = ()) -> Schema:
    """A merge patch (RFC 7396): each member may be left out, and null removes one of those that may be missing."""
    members = {
        name: {**schema, "type": [schema["type"], "null"]}
        if name in removable and isinstance(schema.get("type"), str)
        else schema
        for name, schema in properties.items()
    }
    return _taken(members, optional=tuple(properties))


def reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _text(description: str, **more: Any) -> Schema:
    return {"type": "string", "description": description, **more}


HIDDEN = (
    "\\u0000-\\u001F\\u007F-\\u009F\\u00AD\\u061C\\u180E\\u200B\\u200E\\u200F\\u2028-\\u202E\\u2060-\\u206F\\uFEFF\\uFFF9-\\uFFFB"
)
"""Control characters, and what is invisible or turns the direction of what is read; not the joiners that some scripts need."""
BLANK = " \\u00A0\\u115F\\u1160\\u1680\\u2000-\\u200A\\u200C\\u200D\\u202F\\u205F\\u2800\\u3000\\u3164\\uFFA0"
ONE_LINE = f"^[^{HIDDEN}]*$"
VISIBLE_LINE = f"^[{BLANK}]*[^{BLANK}{HIDDEN}][^{HIDDEN}]*$"
"""One line with something in it to see."""


def _line(most: int, **more: Any) -> Schema:
    return {"type": "string", "minLength": 1, "maxLength": most, "pattern": VISIBLE_LINE, **more}


ID = _text("Opaque and stable.", examples=["01jzc9x3m0v5k8q2n7d4t6h1rb"])
ABN = _text(
    "Australian Business Number: eleven digits, valid by checksum.", format="abn", pattern="^[0-9]{11}$", examples=["51824753556"]
)
AMOUNT = r"^-?[0-9]{1,12}\.[0-9]{2}$"
MONEY = _text("Australian dollars as an exact decimal.", pattern=AMOUNT, examples=["418250.75"])
DATE = {"type": "string", "format": "date", "examples": ["2026-06-30"]}
ETAG = _text("The tag of this state; send it as `If-Match` with a change.", examples=['"3"'])
NEXT_CURSOR = {"type": ["string", "null"], "description": "Pass it as `cursor` for the next page; null after the last one."}
ADDRESS_EXAMPLE = {
    "street_address": "1 Wattle Grove", "locality": "Orange", "region": "NSW", "postal_code": "2800", "country": "Australia",
}  # fmt: skip
ADDRESS_LINES = tuple(ADDRESS_EXAMPLE)

LATEST_PERIOD = {"type": ["string", "null"], "format": "date", "description": "Until when the fund is processed."}
FUND_DETAILS: Schema = {
    "code": _line(32, description="The short code people know the fund by.", examples=["THOR01"]),
    "name": _line(200, examples=["Thornbury Super Fund"]),
    "status": {"type": "string", "enum": list(FUND_STATUSES)},
    "tags": {"type": "array", "items": _line(64, examples=["audit due"]), "maxItems": 50, "uniqueItems": True},
    "latest_period_update": LATEST_PERIOD,
    "legal_entity_type": _line(64, examples=["Self-managed superannuation fund"]),
    "abn": ABN,
}
FUND_SUMMARY: Schema = {"id": ID, **FUND_DETAILS}
MEMBER_DETAILS: Schema = {
    "given_name": _line(200, examples=["Margaret"]),
    "family_name": _line(200, examples=["Ashby"]),
    "date_of_birth": DATE,
    "joined_on": DATE,
    "phase": {"type": "string", "enum": list(MEMBER_PHASES)},
    "balance": MONEY,
}
PENSION_ACCOUNT_DETAILS: Schema = {
    "kind": {"type": "string", "enum": list(PENSION_KINDS)},
    "started_on": DATE,
    "balance": MONEY,
}
ACCOUNT = _taken(
    {
        "code": _line(32, examples=["604"]),
        "name": _line(200, examples=["Cash at bank"]),
        "type": {"type": "string", "enum": list(ACCOUNT_TYPES)},
    }
)
INVESTMENT = _taken({"code": _line(32, examples=["BHP.AX"]), "name": _line(200, examples=["BHP Group"])})
OPENING_BALANCE = _taken(
    {
        "account_code": _line(32, description="A code of `chart_of_accounts`."),
        "investment_code": _line(32, description="A code of `investment_codes`."),
        "amount": {**MONEY, "description": "Debits are above zero, credits below; all together they are zero."},
    },
    optional=("investment_code",),
)
REFERENCE_DATA: Schema = {
    "as_at": {**DATE, "description": "The day of the opening balances."},
    "chart_of_accounts": {
        "type": "array", "items": ACCOUNT, "minItems": 1, "maxItems": 5000, "description": "No code twice.",
        "examples": [
            [
                {"code": "604", "name": "Cash at bank", "type": "asset"},
                {"code": "747", "name": "Shares in listed companies", "type": "asset"},
                {"code": "501", "name": "Member balances", "type": "equity"},
            ]
        ],
    },
    "investment_codes": {"type": "array", "items": INVESTMENT, "maxItems": 5000, "description": "No code twice."},
    "opening_balances": {
        "type": "array", "items": OPENING_BALANCE, "maxItems": 5000,
        "examples": [
            [
                {"account_code": "604", "amount": "1000.10"},
                {"account_code": "747", "investment_code": "BHP.AX", "amount": "200.20"},
                {"account_code": "501", "amount": "-1200.30"},
            ]
        ],
    },
}  # fmt: skip

DOCUMENT_TYPE = {"type": "string", "enum": list(DOCUMENT_TYPES)}

SCHEMAS: dict[str, Schema] = {
    "FundSummary": _object(FUND_SUMMARY),
    "FundPage": _page_of("FundSummary"),
    "Fund": _object({**FUND_SUMMARY, "address": reference("Address")}),
    "Address": _object(
        {line: {"type": "string", "examples": [example]} for line, example in ADDRESS_EXAMPLE.items()}, optional=ADDRESS_LINES
    ),
    "NewFund": _taken(
        {**FUND_DETAILS, "address": reference("NewAddress"), "reference_data": reference("ReferenceData")},
        optional=("status", "tags", "latest_period_update", "address", "reference_data"),
    ),
    "NewAddress": _taken(
        {line: _line(200, examples=[example]) for line, example in ADDRESS_EXAMPLE.items()}, optional=ADDRESS_LINES
    ),
    "FundPatch": {
        **_patch({**FUND_DETAILS, "address": _patch({line: _line(200) for line in ADDRESS_LINES}, removable=ADDRESS_LINES)}),
        "examples": [{"status": "winding_up", "address": {"locality": "Bathurst", "country": None}}],
    },
    "FullFund": _object(
        {
            "fund": reference("Fund"),
            "members": {"type": "array", "items": reference("Member")},
            "pension_accounts": {"type": "array", "items": reference("PensionAccount")},
            "documents": {"type": "array", "items": reference("Document")},
        }
    ),
    "ReferenceData": _taken(REFERENCE_DATA, optional=("investment_codes", "opening_balances")),
    "ReferenceDataLoaded": _object({"fund_id": ID, "as_at": DATE, **{name: {"type": "integer", "minimum": 0} for name in LISTS}}),
    "Document": _object(
        {
            "id": ID,
            "fund_id": ID,
            "name": {"type": "string", "examples": ["Annual return 2026"]},
            "type": DOCUMENT_TYPE,
            "period_start": {"type": ["string", "null"], "format": "date", "examples": ["2025-07-01"]},
            "period_end": {"type": ["string", "null"], "format": "date", "examples": ["2026-06-30"]},
            "tags": {"type": "array", "items": {"type": "string", "examples": ["lodged"]}},
            "media_type": {"type": "string", "enum": list(KINDS)},
            "size": {"type": "integer", "minimum": 1, "description": "Bytes.", "examples": [182044]},
            "sha256": _text("Of the content, in hexadecimal.", pattern="^[0-9a-f]{64}$", examples=["5f" * 32]),
            "uploaded_at": {"type": "string", "format": "date-time"},
        }
    ),
    "DocumentPage": _page_of("Document"),
    "NewDocument": _taken(
        {
            "file": _text("The content, 25 MB at most.", contentMediaType="application/octet-stream", examples=["%PDF-1.7 …"]),
            "name": _line(200, description="The name of the file when left out.", examples=["Annual return 2026"]),
            "type": DOCUMENT_TYPE,
            "period_start": {**DATE, "examples": ["2025-07-01"]},
            "period_end": DATE,
            "tags": {"type": "array", "items": _line(64, examples=["lodged"]), "maxItems": 20, "uniqueItems": True},
        },
        optional=("name", "period_start", "period_end", "tags"),
    ),
    "Member": _object({"id": ID, "fund_id": ID, **MEMBER_DETAILS, "etag": ETAG}),
    "MemberPatch": {**_patch(MEMBER_DETAILS), "examples": [{"given_name": "Margaret Jane", "balance": "421300.10"}]},
    "Members": _list_of("Member"),
    "MemberPage": _page_of("Member"),
    "PensionAccount": _object({"id": ID, "fund_id": ID, "member_id": ID, **PENSION_ACCOUNT_DETAILS, "etag": ETAG}),
    "PensionAccountPatch": {**_patch(PENSION_ACCOUNT_DETAILS), "examples": [{"balance": "98200.00"}]},
    "PensionAccounts": _list_of("PensionAccount"),
    "PensionAccountPage": _page_of("PensionAccount"),
    "Business": _object(
        {
            "id": ID,
            "name": {"type": "string", "examples": ["Acme Super Services"]},
            "abn": ABN,
            "code": {"type": "string", "examples": ["ACME"]},
        }
    ),
    "User": _object(
        {
            "given_name": {"type": "string", "examples": ["Alice"]},
            "middle_name": {"type": ["string", "null"], "examples": [None]},
            "family_name": {"type": "string", "examples": ["Nguyen"]},
            "email": {"type": "string", "format": "email", "examples": ["alice@acme.example"]},
            "role": {"type": "string", "enum": list(ROLES)},
            "scopes_granted": {
                "type": "array",
                "examples": [["openid", "funds.read"]],
                "items": {"type": "string", "enum": list(CATALOGUE)},
                "description": "What this person allows the calling application in this business today.",
            },
            "invitation_status": {"type": "string", "enum": ["invited", "accepted"]},
        }
    ),
    "Users": _list_of("User"),
    "Problem": _object(
        {
            "type": _text(
                "What kind of problem it is.", format="uri", examples=["https://portal.example/developers/problems/bad-request"]
            ),
            "title": _text("The same for every problem of this kind."),
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": _text("What happened and what to do next, in words."),
            "instance": _text("The reference number of this call, which is in the portal’s log.", format="uri"),
            "error": _text("The error code of RFC 6750 §3.1, when the token is the matter."),
            "reason": _text("Why the token is dead, in a word to act on."),
            "scope": _text("The scope that the call needs."),
            "scope_of_token": _text("What the token opens today."),
            "parameter": _text("The query parameter that cannot be used."),
            "document_id": _text("The document that has the same content."),
            "violated-policies": {
                "type": "array",
                "items": {"type": "string"},
                "description": "The limits that were reached, by name.",
            },
            "errors": {
                "type": "array",
                "description": "Each fault of the body.",
                "items": _object(
                    {
                        "pointer": _text(
                            "Where: a JSON pointer (RFC 6901) as a URI fragment.", examples=["#/address/postal_code"]
                        ),
                        "detail": _text("What is wrong there.", examples=["may hold at most 200 characters"]),
                    }
                ),
            },
        },
        optional=("error", "reason", "scope", "scope_of_token", "parameter", "document_id", "violated-policies", "errors"),
    ),
}
