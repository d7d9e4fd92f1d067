"""The public keys of a client that signs its assertions (private_key_jwt): by value, since nothing is ever fetched."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

MAX_KEYS = 10
RSA_BITS = (2048, 8192)
PRIVATE = frozenset("d p q dp dq qi oth k".split())
KINDS: dict[tuple[str, str | None], tuple[type[Key], tuple[str, ...], tuple[str, ...]]] = {
    ("EC", "P-256"): (ECKey, ("x", "y"), ("ES256",)),
    ("RSA", None): (RSAKey, ("n", "e"), ("RS256", "PS256")),
    ("OKP", "Ed25519"): (OKPKey, ("x",), ("EdDSA", "Ed25519")),
}
"""Type and curve, with joserfc's class, the members that make the key, and the algorithms it may be for."""


class KeyFaultError(ValueError):
    """A key that is not stored, with the end of a sentence that says why."""


def read(jwks: object) -> dict[str, Any]:
    """The set as it is stored: the members that make each key, and a `kid` for each. Raises KeyFaultError."""
    keys = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(keys, list) or not 0 < len(keys) <= MAX_KEYS:
        raise KeyFaultError(f'must be {{"keys": […]}} with 1 to {MAX_KEYS} public keys')
    stored = [_read_key(key, number) for number, key in enumerate(keys, start=1)]
    if len({key["kid"] for key in stored}) < len(stored):
        raise KeyFaultError("holds two keys with the same kid")
    return {"keys": stored}


def _read_key(jwk: object, number: int) -> dict[str, Any]:
    name = f"key {number}"
    if not isinstance(jwk, Mapping):
        raise KeyFaultError(f"{name} is not a JSON object")
    if PRIVATE & set(jwk):
        raise KeyFaultError(f"{name} holds a private or shared key; it is no secret any more, so make a new one")
    kty, crv = jwk.get("kty"), jwk.get("crv")
    if not isinstance(kty, str) or not isinstance(crv, str | None) or (kty, crv) not in KINDS:
        raise KeyFaultError(f"{name} must be EC on P-256, RSA, or OKP on Ed25519")
    kind, members, algorithms = KINDS[kty, crv]
    if jwk.get("use", "sig") != "sig" or jwk.get("key_ops", ["verify"]) != ["verify"]:
        raise KeyFaultError(f"{name} is not for the checking of signatures")
    if jwk.get("alg", algorithms[0]) not in algorithms:
        raise KeyFaultError(f"{name} must be for {' or '.join(algorithms)}")
    bare = {member: jwk[member] for member in ("kty", "crv", *members) if member in jwk}
    key = _import(kind, bare, name)
    kid = jwk.get("kid", key.thumbprint())
    if not isinstance(kid, str) or not 0 < len(kid) <= 200 or not kid.isprintable():
        raise KeyFaultError(f"{name} must have a kid of 1 to 200 printable characters, or none")
    return {**bare, "use": "sig", "kid": kid, **({"alg": jwk["alg"]} if "alg" in jwk else {})}


def _import(kind: type[Key], bare: dict[str, Any], name: str) -> Key:
    try:
        if bare["kty"] == "RSA":
            _check_rsa(_number(bare["n"]), _number(bare["e"]), name)
        key = kind.import_key(bare)
        key.get_op_key("verify")
    except KeyFaultError:
        raise
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        raise KeyFaultError(f"{name} is not a key that can be read") from None
    return key


def _check_rsa(modulus: int, exponent: int, name: str) -> None:
    if not RSA_BITS[0] <= modulus.bit_length() <= RSA_BITS[1] or exponent < 65537:
        raise KeyFaultError(f"{name} must have {RSA_BITS[0]} to {RSA_BITS[1]} bits and an exponent of 65537 or more")


def _number(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")
