"""How calls lead on to each other: what one answers is what another asks for (OpenAPI 3.1, Link Object)."""

from __future__ import annotations

from typing import Any

from portal.api.parameters import CURSOR
from portal.api.registry import PATH_PARAMETER, Endpoint

LINKS: dict[str, dict[str, dict[str, str]]] = {
    "list_funds": {
        "get_fund": {"fund_id": "$response.body#/data/0/id"},
        "get_full_fund": {"fund_id": "$response.body#/data/0/id"},
        "list_members_of_fund": {"fund_id": "$response.body#/data/0/id"},
        "list_pension_accounts_of_fund": {"fund_id": "$response.body#/data/0/id"},
        "list_documents_of_fund": {"fund_id": "$response.body#/data/0/id"},
        "add_document": {"fund_id": "$response.body#/data/0/id"},
    },
    "list_documents_of_fund": {
        "get_document": {"document_id": "$response.body#/data/0/id"},
        "get_content_of_document": {"document_id": "$response.body#/data/0/id"},
    },
    "add_document": {
        "get_document": {"document_id": "$response.body#/id"},
        "get_content_of_document": {"document_id": "$response.body#/id"},
    },
    "create_fund": {
        "add_document": {"fund_id": "$response.body#/id"},
        "get_fund": {"fund_id": "$response.body#/id"},
        "get_full_fund": {"fund_id": "$response.body#/id"},
        "change_fund": {"fund_id": "$response.body#/id", "If-Match": "$response.header.ETag"},
        "load_reference_data": {"fund_id": "$response.body#/id"},
        "get_reference_data": {"fund_id": "$response.body#/id"},
    },
    "get_fund": {"change_fund": {"fund_id": "$response.body#/id", "If-Match": "$response.header.ETag"}},
    "change_fund": {"change_fund": {"fund_id": "$response.body#/id", "If-Match": "$response.header.ETag"}},
    "load_reference_data": {"get_reference_data": {"fund_id": "$response.body#/fund_id"}},
    "list_members": {
        "get_member": {"member_id": "$response.body#/data/0/id"},
        "change_member": {"member_id": "$response.body#/data/0/id", "If-Match": "$response.body#/data/0/etag"},
        "get_fund": {"fund_id": "$response.body#/data/0/fund_id"},
    },
    "list_members_of_fund": {
        "get_member": {"member_id": "$response.body#/data/0/id"},
        "change_member": {"member_id": "$response.body#/data/0/id", "If-Match": "$response.body#/data/0/etag"},
    },
    "get_member": {"change_member": {"member_id": "$response.body#/id", "If-Match": "$response.header.ETag"}},
    "change_member": {"change_member": {"member_id": "$response.body#/id", "If-Match": "$response.header.ETag"}},
    "list_pension_accounts": {
        "get_pension_account": {"account_id": "$response.body#/data/0/id"},
        "change_pension_account": {"account_id": "$response.body#/data/0/id", "If-Match": "$response.body#/data/0/etag"},
        "get_member": {"member_id": "$response.body#/data/0/member_id"},
    },
    "list_pension_accounts_of_fund": {
        "change_pension_account": {"account_id": "$response.body#/data/0/id", "If-Match": "$response.body#/data/0/etag"},
    },
    "get_pension_account": {
        "change_pension_account": {"account_id": "$response.body#/id", "If-Match": "$response.header.ETag"},
    },
}
"""From the answer of one call to the parameters of another, by their names."""


def of_call(line: Endpoint) -> dict[str, Any]:
    """The links of the good answer of this call."""
    links: dict[str, Any] = {
        f"then_{target}": {"operationId": target, "parameters": parameters}
        for target, parameters in LINKS.get(line.name, {}).items()
    }
    if CURSOR in line.query:
        in_path = {name: f"$request.path.{name}" for name in PATH_PARAMETER.findall(line.path)}
        links["next_page"] = {
            "operationId": line.name,
            "description": "As long as `next_cursor` is not null, with the same filters.",
            "parameters": {**in_path, "cursor": "$response.body#/next_cursor"},
        }
    return links
