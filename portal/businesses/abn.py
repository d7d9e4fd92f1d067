"""Australian Business Numbers: eleven digits of which the first two check the rest (the register's modulus 89 rule)."""

from __future__ import annotations

import re

WEIGHTS = (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)
DIGITS = re.compile(r"[0-9]{11}")


def normalise(text: str) -> str:
    """`51 824 753 556` as it is stored: without spaces."""
    return re.sub(r"[ \u00a0\u202f]", "", text)


def is_valid(abn: str) -> bool:
    """Whether eleven digits are an ABN: one taken from the first, each weighed, the sum a multiple of 89."""
    if not DIGITS.fullmatch(abn) or abn[0] == "0":
        return False
    digits = [int(digit) for digit in abn]
    digits[0] -= 1
    return sum(digit * weight for digit, weight in zip(digits, WEIGHTS, strict=True)) % 89 == 0
