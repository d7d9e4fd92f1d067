"""The names of documents: what may be one, and as which file name it goes out.

A name is for people and is part of no path here. It may end as a file name on another's machine all the same, so what
could lead out of a folder or show something other than it is, is refused.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath
from urllib.parse import quote

from portal.funds.kinds import Kind

LONGEST = 200
LONGEST_FILE_NAME = 180
MOST_IN_ONE = 4
"""Unicode composes as many characters to one at most."""
SEPARATORS = re.compile(r"[/\\]")
JOINERS = "\u200c\u200d"
"""Invisible, yet words of some scripts are misspelt without them."""
UNSAFE_IN_FILE_NAMES = re.compile(r'[<>:"|?*%;]')


def last_part(path: str) -> str:
    """The name without the folders that some senders put before it."""
    return SEPARATORS.split(path)[-1]


def clean(text: str) -> str:
    """`text` as a name, in Unicode's composed form and without blanks around it.

    What is too long in any form stays as it came: composing a form full of combining marks would take a worker for long.
    """
    bare = text.strip()
    return bare if len(bare) > LONGEST * MOST_IN_ONE else unicodedata.normalize("NFC", bare).strip()


def fault(name: str) -> str | None:
    """Why a cleaned name cannot be taken, in words that follow “the name”; None for a good one."""
    if not name:
        return "is required"
    if len(name) > LONGEST:
        return f"may hold at most {LONGEST} characters"
    if "\N{REPLACEMENT CHARACTER}" in name:
        return "must be Unicode text in UTF-8"
    if any(_is_hidden(character) for character in name):
        return "must not hold control characters, nor marks that turn the direction of writing"
    if SEPARATORS.search(name) or name.strip(".") == "":
        return "must be a name, not a path: leave out / and \\"
    return None


def _is_hidden(character: str) -> bool:
    category = unicodedata.category(character)
    return (category[0] == "C" or category in ("Zl", "Zp")) and character not in JOINERS


def of(name: str, kind: Kind) -> str:
    """The file name under which a document goes out; it always ends in an extension of its kind."""
    safe = UNSAFE_IN_FILE_NAMES.sub("_", name).lstrip(".").strip() or "document"
    if PurePosixPath(safe.lower()).suffix not in kind.extensions:
        return safe[:LONGEST_FILE_NAME].rstrip(". ") + kind.extensions[0]
    stem, suffix = safe.rsplit(".", 1)
    return f"{stem[:LONGEST_FILE_NAME]}.{suffix}"


def disposition(file_name: str) -> str:
    """`Content-Disposition` (RFC 6266 §4.1): to be saved, under this name in UTF-8 (RFC 8187) and as nearly so in ASCII."""
    ascii_only = unicodedata.normalize("NFKD", file_name).encode("ascii", "ignore").decode()
    # Full-width forms have become what they look like: quotation marks that would end the name, separators that lead on.
    plain = UNSAFE_IN_FILE_NAMES.sub("_", SEPARATORS.sub("_", ascii_only))
    if not plain.rpartition(".")[0].strip():
        plain = "document" + plain
    held = f'attachment; filename="{plain}"'
    return held if plain == file_name else f"{held}; filename*=UTF-8''{quote(file_name, safe='')}"
