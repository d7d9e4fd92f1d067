"""Addresses of a partner application: where people are sent back to, and the sites it names.

Redirect URIs are compared as exact strings (RFC 9700 §2.1), so nothing is accepted here that a browser would read
differently from how it is written: no wildcard, no user, no dot segment, no host in capitals.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import parse_qsl, unquote, urlsplit

MAX_LENGTH = 2000
URI_CHARACTERS = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
HOST = re.compile(r"(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
LOOPBACK = ("127.0.0.1", "[::1]", "localhost")
"""The two spellings of RFC 8252 §7.3, and the name that OIDC Dynamic Registration §2 allows beside them. The name is taken
as it stands, port and all: §8.3 advises against it, since it may be resolved to another machine."""
OURS = frozenset("code state iss error error_description error_uri".split())
"""What we add to a redirect URI; one that brings it along could answer in our name."""


def find_redirect_fault(uri: object) -> str | None:
    """What is wrong with a redirect URI, as the end of a sentence; None when nothing is."""
    fault = _find_fault(uri, loopback=True)
    if fault is not None or not isinstance(uri, str):
        return fault
    if "#" in uri:
        return "must not have a fragment (RFC 6749 §3.1.2)"
    if "*" in unquote(uri):
        return "must not have a wildcard: redirect URIs are compared as they stand"
    if OURS & {name for name, _ in parse_qsl(urlsplit(uri).query, keep_blank_values=True)}:
        return "must not bring along a parameter that the answer has, such as code or state"
    return None


def find_site_fault(uri: object, *, loopback: bool) -> str | None:
    """The same for a page of the partner that people are sent to by a link. `loopback` allows http to this machine."""
    return _find_fault(uri, loopback=loopback)


def _find_fault(uri: object, *, loopback: bool) -> str | None:
    if not isinstance(uri, str) or not uri:
        return "must be a text that is not empty"
    if len(uri) > MAX_LENGTH:
        return f"must have at most {MAX_LENGTH} characters"
    if not URI_CHARACTERS.fullmatch(uri):
        return "holds a space, a control character, or another that must be percent-encoded (RFC 3986 §2)"
    if not uri.startswith(("https://", "http://")):
        return "must begin with https://" + (", or http:// for a loopback address" if loopback else "")
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return "is not an address that can be read"
    if "@" in parts.netloc:
        return "must not name a user"
    if port == 0 or parts.netloc.endswith(":"):
        return "has an empty or impossible port"
    return _host_fault(parts.netloc, parts.scheme, loopback=loopback) or _path_fault(parts.path)


def _host_fault(netloc: str, scheme: str, *, loopback: bool) -> str | None:
    host = re.sub(r":\d+$", "", netloc)
    if not _is_host(host):
        return "has no host, or one that is not written in the usual way (small letters, digits, dots, hyphens)"
    if scheme == "https":
        return None
    if host not in LOOPBACK:
        return "must use https" + (" unless it is at 127.0.0.1, [::1] or localhost" if loopback else "")
    return None if loopback else "must use https in production"


def _is_host(host: str) -> bool:
    try:
        if host.startswith("["):  # an IPv6Address may carry a zone, which is of this machine alone
            return "%" not in host and host == f"[{ipaddress.IPv6Address(host[1:-1])}]"
        if host.rpartition(".")[2].isdigit():  # browsers take such a name for an IPv4 address in any notation
            return host == str(ipaddress.IPv4Address(host))
    except ValueError:
        return False
    is_number = re.fullmatch(r"0x[0-9a-f]*", host.rpartition(".")[2])
    return HOST.fullmatch(host) is not None and not is_number


def _path_fault(path: str) -> str | None:
    if {".", ".."} & set(unquote(path).split("/")):
        return "must not have . or .. in its path: a browser would go elsewhere"
    return None
