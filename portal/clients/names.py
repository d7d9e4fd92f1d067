"""Words of a partner that people read on the consent page: what they may hold, and when a name passes for another's.

After Unicode Technical Standard 39: one script within a name, no character that is invisible or turns the direction of
reading, and a skeleton in which characters that look alike are the same. The table of those is small and our own; it
knows the letters and digits that are used to imitate Latin names.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

MAX_NAME_LENGTH = 100
MAX_REASON_LENGTH = 300

UNSEEN = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")
"""Controls, bidirectional overrides and other invisible formats, private and unassigned characters, odd separators."""
TOGETHER = frozenset(("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "KATAKANA-HIRAGANA", "LATIN"))
"""Scripts that names of East Asia mix as a matter of course."""
LOOK_ALIKE = str.maketrans(
    {
        **dict(zip("авеѕіјкмнорсԁɡһтухѵԝɩ", "abesijkmhopcdghtyxvwi", strict=True)),
        **dict(zip("αβεικνορτυχωγη", "abeiknoptuxwyn", strict=True)),
        **dict(zip("ɑɪʏłøđħıſ", "aiylodhis", strict=True)),
        **dict(zip("0135$@!|", "olessali", strict=True)),
    }
)


def find_fault(text: object, *, longest: int) -> str | None:
    """What is wrong with a text that people are to read, as the end of a sentence; None when nothing is."""
    if not isinstance(text, str) or not text.strip():
        return "must be a text that is not empty"
    if len(text) > longest:
        return f"must have at most {longest} characters"
    if any(unicodedata.category(character) in UNSEEN for character in text):
        return "holds a character that is invisible or changes the direction of reading"
    if text != " ".join(text.split()) or any(character.isspace() and character != " " for character in text):
        return "must have single ordinary spaces, and none at its ends"
    if text != unicodedata.normalize("NFC", text):
        return "must be in Unicode’s composed form (NFC)"
    return None


def find_name_fault(name: object) -> str | None:
    """The same for a name, which moreover must not be made to look like another one."""
    fault = find_fault(name, longest=MAX_NAME_LENGTH)
    if fault is not None or not isinstance(name, str):
        return fault
    if name != unicodedata.normalize("NFKC", name):
        return "holds characters that only look like ordinary letters, digits or signs"
    letters = [character for character in name if character.isalpha()]
    if not letters:
        return "must hold a letter"
    scripts = {unicodedata.name(letter, "UNKNOWN").split()[0] for letter in letters}
    if len(scripts) > 1 and not scripts <= TOGETHER:
        return "mixes letters of several scripts, so that it can look like another name"
    return None


def skeleton(name: str) -> str:
    """What two names have in common when people take one for the other: `Ledgerly` and `LEDGER1Y` have the same."""
    folded = unicodedata.normalize("NFKD", name.casefold())
    bare = "".join(character for character in folded if not unicodedata.combining(character)).translate(LOOK_ALIKE)
    bare = bare.replace("rn", "m").replace("vv", "w").replace("l", "i")
    return re.sub(r"[\W_]", "", bare)


def is_among(name: str, others: Iterable[str]) -> str | None:
    """The one of `others` that `name` would be taken for; None when there is none."""
    own = skeleton(name)
    return next((other for other in others if skeleton(other) == own), None)
