"""The partner applications of the demo, in the words of RFC 7591."""

from __future__ import annotations

from typing import Any

from portal.consents.catalogue import CATALOGUE

LEDGERLY, POCKETFOLIO, TIDEMARK = "ledgerly-demo", "pocketfolio-demo", "tidemark-demo"
LEDGERLY_SECRET = "ledgerly-demo-secret-for-local-use-only"
READS = "openid profile funds.summary funds.basic members.read funds.read business.read offline_access"

Metadata = dict[str, Any]


def ledgerly(partner_origin: str) -> Metadata:
    """The sample partner of `examples/partner`, running at `partner_origin`."""
    return {
        "client_id": LEDGERLY,
        "client_name": "Ledgerly",
        "publisher": "Ledgerly Pty Ltd",
        "client_uri": "https://ledgerly.example",
        "policy_uri": "https://ledgerly.example/privacy",
        "tos_uri": "https://ledgerly.example/terms",
        "logo": "logos/ledgerly.svg",
        "application_type": "web",
        "token_endpoint_auth_method": "client_secret_basic",
        "redirect_uris": [f"{partner_origin}/callback"],
        "post_logout_redirect_uris": [f"{partner_origin}/"],
        "scope": " ".join(CATALOGUE),
        "required_scopes": ["openid", "funds.summary"],
        "scope_reasons": {
            "openid": "So that you sign in to Ledgerly with the account you already have.",
            "profile": "To address you by name, and to show your practice who connected Ledgerly.",
            "funds.summary": "To show you all your funds in one list, and which of them need attention.",
            "funds.basic": "To put the right address on the letters Ledgerly drafts for you.",
            "members.read": "To work out contribution and pension limits for each member.",
            "funds.read": "To prepare the working papers of a whole fund.",
            "funds.write": "To file finished working papers with the fund, so that you need not upload them.",
            "business.read": "To offer your colleagues as reviewers of a working paper.",
            "funds.create": "To set up a new fund from the intake form your client fills in.",
            "offline_access": "To have last night’s figures ready when you start in the morning.",
        },
        "id_token_signed_response_alg": "ES256",
        "contacts": ["integrations@ledgerly.example"],
    }


POCKETFOLIO_METADATA: Metadata = {
    "client_id": POCKETFOLIO,
    "client_name": "Pocketfolio",
    "publisher": "Pocketfolio Apps Pty Ltd",
    "client_uri": "https://pocketfolio.example",
    "policy_uri": "https://pocketfolio.example/privacy",
    "logo": "logos/pocketfolio.svg",
    "application_type": "native",
    "token_endpoint_auth_method": "none",
    "redirect_uris": ["http://127.0.0.1/callback"],
    "scope": READS,
    "required_scopes": ["openid"],
    "scope_reasons": {
        "openid": "To know that it is you on this device.",
        "profile": "To show whose figures the app displays.",
        "funds.summary": "To list your funds on the first screen.",
        "funds.basic": "To open one fund and show its details.",
        "members.read": "To show members and their balances.",
        "funds.read": "To show everything of a fund in one place.",
        "business.read": "To show who else in the business sees these figures.",
        "offline_access": "To refresh the figures before you open the app.",
    },
    "contacts": ["hello@pocketfolio.example"],
}

TIDEMARK_METADATA: Metadata = {
    "client_id": TIDEMARK,
    "client_name": "Tidemark Statements",
    "publisher": "Tidemark Software Pty Ltd",
    "client_uri": "https://tidemark.example",
    "logo": "logos/tidemark.svg",
    "application_type": "web",
    "token_endpoint_auth_method": "none",
    "redirect_uris": ["https://tidemark.example/callback"],
    "scope": "openid profile funds.summary funds.basic offline_access",
    "required_scopes": ["openid", "funds.summary"],
    "scope_reasons": {
        "openid": "To link statements to the person who ordered them.",
        "profile": "To print the name of the person who ordered a statement.",
        "funds.summary": "To choose which funds get a statement.",
        "funds.basic": "To print the fund’s address on its statement.",
        "offline_access": "To send statements at the end of each month.",
    },
    "contacts": ["support@tidemark.example"],
}
"""No program stands behind this one; it is there to have ended."""
