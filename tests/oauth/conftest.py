from __future__ import annotations

import pytest

from portal import Portal
from tests.support.signin import Cast
from tests.support.tokens import Machine


@pytest.fixture
def machine(app: Portal, cast: Cast) -> Machine:
    """The partner's program, with codes and tokens put straight into the database."""
    return Machine(app, cast)
