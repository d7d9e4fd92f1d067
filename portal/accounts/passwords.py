"""Passwords: argon2id (RFC 9106), a few at a time, and what may be chosen as one.

Hashing is slow on purpose, so a flood of sign-ins could take every thread of a worker. Only `AT_ONCE` hashes run and
`WAITING` wait; whoever comes after that is refused at once, which costs next to nothing.
"""

from __future__ import annotations

import base64
import secrets
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

from portal.config import Settings
from portal.errors import Unavailable

AT_ONCE = 2
WAITING = 1
"""Together one less than the threads of a worker (`make serve`), so that one is always left for other pages."""
PATIENCE_SECONDS = 2.0
BUSY = "Many people are signing in right now. Nothing was changed; please try again in a moment."

MIN_LENGTH = 12
MAX_LENGTH = 200
OBVIOUS = (
    "password", "passw0rd", "p@ssword", "p@ssw0rd", "letmein", "welcome", "iloveyou", "administrator", "superannuation",
    "changeme", "qwertyuiop", "asdfghjkl", "trustno1", "monkey", "dragon", "football", "sunshine", "princess",
)  # fmt: skip
"""What people choose first; a password that is one of these with some digits and signs around it is guessed at once."""
RUNS = ("abcdefghijklmnopqrstuvwxyz" * 2, "01234567890" * 20, "qwertyuiopasdfghjklzxcvbnm" * 2, "1q2w3e4r5t6y7u8i9o0p" * 2)


class Passwords:
    """Hashes and verifies under the parameters of today. One for each application."""

    def __init__(self, settings: Settings) -> None:
        if settings.mode == "test":
            self._hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
        else:
            self._hasher = PasswordHasher(time_cost=3, memory_cost=19456, parallelism=1)
        self._line = threading.BoundedSemaphore(AT_ONCE + WAITING)
        self._running = threading.BoundedSemaphore(AT_ONCE)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn to hash. Raises Unavailable, at once when the line is full."""
        if not self._line.acquire(blocking=False):
            raise Unavailable(BUSY, detail="the line for password hashing is full", headers={"Retry-After": "1"})
        try:
            if not self._running.acquire(timeout=PATIENCE_SECONDS):
                raise Unavailable(BUSY, detail="waited too long for password hashing", headers={"Retry-After": "1"})
            try:
                yield
            finally:
                self._running.release()
        finally:
            self._line.release()

    def hash(self, password: str) -> str:
        """The password as it is stored. Raises Unavailable."""
        with self.turn():
            return self._hasher.hash(_bytes(password))

    def verify(self, stored: str | None, password: str) -> bool:
        """Whether this is the password. Takes as long when nothing is stored, and then is never so. Raises Unavailable."""
        with self.turn():
            try:
                right = self._hasher.verify(stored or self._nobodys, _bytes(password))
            except (VerificationError, InvalidHashError):
                return False
            return right and stored is not None

    def needs_rehash(self, stored: str) -> bool:
        """Whether this was hashed under other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    @cached_property
    def _nobodys(self) -> str:
        """What a hash under the parameters of today looks like, without hashing: the first time must cost no more either."""
        made = self._hasher
        salt, digest = (
            base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (made.salt_len, made.hash_len)
        )
        return f"$argon2id$v={ARGON2_VERSION}$m={made.memory_cost},t={made.time_cost},p={made.parallelism}${salt}${digest}"


def _bytes(password: str) -> bytes:
    # The same characters typed on another keyboard may arrive composed differently (NIST SP 800-63B §3.1.1.2). No password
    # is as long as what is cut here; a form full of combining marks would keep the processor, and the GIL, for a minute.
    return unicodedata.normalize("NFKC", password[: MAX_LENGTH + 1]).encode("utf-8", "surrogatepass")


def find_fault(password: str, *, email: str) -> str | None:
    """What is wrong with choosing this password, as a sentence for the person; None when it may be chosen."""
    if len(password) < MIN_LENGTH:
        return f"Use at least {MIN_LENGTH} characters. A few unrelated words work well."
    if len(password) > MAX_LENGTH:
        return f"Use at most {MAX_LENGTH} characters."
    folded = unicodedata.normalize("NFKC", password).casefold()
    if folded.strip() in (email.casefold(), email.casefold().partition("@")[0]):
        return "Your email cannot be your password. Choose something that only you know."
    if is_obvious(folded):
        return "That is one of the first passwords people try. Choose something less obvious, such as a few unrelated words."
    return None


def is_obvious(folded: str) -> bool:
    """Repetition, a row of keys, or a word of the list with digits and signs around it."""
    if len(set(folded)) < 5 or any(folded in run for run in RUNS):
        return True
    core = folded.strip("0123456789!@#$%^&*()-_=+.,?;: ")
    return len(core) < 4 or core in OBVIOUS or any(core == word * 2 for word in OBVIOUS)
