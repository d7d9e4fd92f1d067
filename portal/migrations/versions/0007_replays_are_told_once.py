"""When a client assertion or a pushed request was first presented again.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from portal.db import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("assertion_ids", "pushed_requests"):
        op.add_column(table, sa.Column("replayed_at", UtcDateTime(), nullable=True))


def downgrade() -> None:
    for table in ("pushed_requests", "assertion_ids"):
        op.drop_column(table, "replayed_at")
