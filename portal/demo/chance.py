"""Made-up things that come out the same each time: ids, business numbers, names, addresses, dates and amounts."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from portal.businesses.abn import WEIGHTS
from portal.db import ID_ALPHABET
from portal.demo import words

SEED = 20260701
IDS_BEGIN = datetime(2025, 7, 1, tzinfo=UTC)


class Chance:
    """A seeded source; the same calls in the same order give the same things."""

    def __init__(self, seed: int = SEED) -> None:
        self.random = random.Random(seed)  # noqa: S311, the same each time is the point
        self._abns: set[str] = set()

    def new_id(self, moment: datetime = IDS_BEGIN) -> str:
        """A primary key as `db.new_id` makes them, as if it were made at `moment`."""
        number = int(moment.timestamp() * 1000) << 80 | self.random.getrandbits(80)
        return "".join(ID_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))

    def abn(self) -> str:
        """An Australian Business Number that is valid by checksum, each only once."""
        while True:
            abn = with_check_digits(f"{self.random.randrange(10**9):09}")
            if abn not in self._abns:
                self._abns.add(abn)
                return abn

    def address(self) -> dict[str, str]:
        """The members of OIDC Core §5.1.1, in a real locality."""
        locality, region, postal_code = self.random.choice(words.LOCALITIES)
        street = f"{self.random.randint(1, 240)} {self.random.choice(words.STREETS)}"
        return {
            "street_address": street,
            "locality": locality,
            "region": region,
            "postal_code": postal_code,
            "country": "Australia",
        }

    def day(self, first: date, last: date) -> date:
        return first + timedelta(days=self.random.randint(0, max((last - first).days, 0)))

    def amount(self, smallest: int, largest: int) -> Decimal:
        return Decimal(self.random.randint(smallest * 100, largest * 100)) / 100


def with_check_digits(nine: str) -> str:
    """Eleven digits: the two check digits that make `nine` a valid ABN, then `nine`.

    The rule of the Australian Business Register: 1 less on the first digit, the weighted sum is a multiple of 89.
    """
    weighted = sum(int(digit) * weight for digit, weight in zip(nine, WEIGHTS[2:], strict=True))
    return f"{10 + -weighted % 89}{nine}"
