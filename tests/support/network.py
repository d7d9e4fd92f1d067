"""Nothing leaves this machine: a connection or look-up that would is refused, and the test fails."""

from __future__ import annotations

import ipaddress
import socket
import sys
from typing import Any


class NetworkUsedError(AssertionError):
    """Something asked for another machine."""


def forbid() -> None:
    """From now on and for the life of this process; an audit hook cannot be taken off."""
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        if arguments[0].family != socket.AF_UNIX and not _is_here(address[0]):
            raise NetworkUsedError(f"a test may not reach {address[0]}")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname") and not _is_here(arguments[0]):
        raise NetworkUsedError(f"a test may not look up {arguments[0]}")


def _is_here(host: str | bytes | None) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost", socket.gethostname()):
        return True
    try:
        return ipaddress.ip_address(str(name)).is_loopback or name in ("0.0.0.0", "::")  # noqa: S104
    except ValueError:
        return False
