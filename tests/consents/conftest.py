from __future__ import annotations

import pytest
from werkzeug.test import TestResponse

from tests.support.corridor import Corridor


@pytest.fixture
def signed_in(corridor: Corridor) -> Corridor:
    corridor.arrive_signed_in()
    return corridor


@pytest.fixture
def asked(signed_in: Corridor) -> TestResponse:
    """The consent page, for Alice and Acme."""
    return signed_in.page("consent")
