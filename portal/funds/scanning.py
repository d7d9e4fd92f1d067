"""Is an upload harmless? The place where a virus scanner is put in (PORTAL_SCAN_COMMAND); without one, all are let through.

The command is given the path of the file, which nobody can reach by the API yet. It ends with 0 for a clean file and
with 1 for one to refuse, as clamdscan does. Anything else, and a scanner that takes too long, lets nothing through.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from portal.errors import PortalError, Unavailable

CLEAN, INFECTED = 0, 1
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
"""What a scanner gets to know of our environment; the portal's secrets are not among it."""


class ContentRefused(PortalError):
    status, kind = 422, "document-refused"
    title = "The virus scan refused the document"
    message = "Nothing was stored. Check the file on the machine it comes from, and send a clean one."


class ScannerUnavailable(Unavailable):
    kind = "scanner-unavailable"
    title = "The virus scan does not work at the moment"
    message = "Nothing was stored, since nothing is taken unscanned. Please try again later."


def check(path: Path, command: str, *, seconds: int) -> None:
    """Raises ContentRefused for an infected file, and ScannerUnavailable when that cannot be told. No command: no scan."""
    if not command:
        return
    known = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    try:
        ended = subprocess.run(  # noqa: S603, the operator's own command, and a path that is ours
            [*shlex.split(command), str(path)], env=known, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, timeout=seconds, check=False,
        )  # fmt: skip
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise ScannerUnavailable(detail=f"scan: {type(error).__name__}") from error
    if ended.returncode == INFECTED:
        raise ContentRefused(detail="scan: infected")
    if ended.returncode != CLEAN:
        raise ScannerUnavailable(detail=f"scan: ended with {ended.returncode}")
