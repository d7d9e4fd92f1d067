"""What the server announces (OIDC Discovery §3, RFC 8414 §2, RFC 9728 §2): all that works, and nothing that does not."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from portal.clients.models import AUTHENTICATION_METHODS
from portal.config import Settings
from portal.consents.catalogue import CATALOGUE
from portal.oauth.client_authentication import ASSERTION_ALGORITHMS
from portal.oauth.id_token import LEVELS
from portal.oauth.keys import ALGORITHMS

API = "/api/v1"
PROTECTED_RESOURCE = "/.well-known/oauth-protected-resource"
API_METADATA = PROTECTED_RESOURCE + API
"""The address of the document about the API: the well-known part goes between the host and the resource's own path (RFC 9728 §3.1)."""

CLAIMS = (
    "sub iss aud exp iat auth_time nonce at_hash sid amr acr azp email email_verified name given_name middle_name family_name "
    "address zoneinfo role business_id business_name"
).split()


@lru_cache(maxsize=8)
def authorization_server(settings: Settings) -> dict[str, Any]:
    """The document of both well-known addresses."""
    issuer = settings.issuer
    methods = list(AUTHENTICATION_METHODS)
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth/authorize",
        "pushed_authorization_request_endpoint": f"{issuer}/oauth/par",
        "token_endpoint": f"{issuer}/oauth/token",
        "introspection_endpoint": f"{issuer}/oauth/introspect",
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "userinfo_endpoint": f"{issuer}/oauth/userinfo",
        "jwks_uri": f"{issuer}/oauth/jwks",
        "end_session_endpoint": f"{issuer}/oauth/logout",
        "consents_endpoint": f"{issuer}/oauth/consents",
        "verification_endpoint": f"{issuer}/oauth/verify",
        "scopes_supported": list(CATALOGUE),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": sorted(ALGORITHMS),
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": ASSERTION_ALGORITHMS,
        "introspection_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_signing_alg_values_supported": ASSERTION_ALGORITHMS,
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": ASSERTION_ALGORITHMS,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "require_pushed_authorization_requests": False,
        "claims_parameter_supported": True,
        "claims_supported": CLAIMS,
        "acr_values_supported": list(LEVELS),
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "ui_locales_supported": ["en-AU"],
        "protected_resources": [issuer + API],
    }


@lru_cache(maxsize=8)
def protected_resource(settings: Settings) -> dict[str, Any]:
    """The API, and who gives out tokens for it."""
    issuer = settings.issuer
    return {
        "resource": issuer + API,
        "authorization_servers": [issuer],
        "scopes_supported": [name for name, scope in CATALOGUE.items() if scope.group in ("read", "write")],
        "bearer_methods_supported": ["header"],
        "resource_name": f"{settings.brand} API",
        "resource_documentation": f"{issuer}{API}/openapi.json",
    }
