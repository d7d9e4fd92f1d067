from __future__ import annotations

import pytest

from portal.businesses import abn
from tests.support.cast import COMPANIES


@pytest.mark.parametrize("number", ["51824753556", "53004085616", *sorted({company.abn for company in COMPANIES})])
def test_a_real_number_is_valid(number: str) -> None:
    assert abn.is_valid(number)


@pytest.mark.parametrize(
    "number",
    [
        "51824753557",
        "15824753556",
        "5182475355",
        "518247535566",
        "",
        "abcdefghijk",
        "51 824 753 556",
        "٥١٨٢٤٧٥٣٥٥٦",
        "00000000000",
    ],
)
def test_anything_else_is_not(number: str) -> None:
    assert not abn.is_valid(number)


def test_every_single_wrong_digit_is_found() -> None:
    right = "51824753556"
    for place in range(11):
        for digit in "0123456789":
            wrong = right[:place] + digit + right[place + 1 :]
            assert abn.is_valid(wrong) == (wrong == right)


def test_spaces_are_only_for_people() -> None:
    assert abn.normalise("51 824\u00a0753 556") == "51824753556"
