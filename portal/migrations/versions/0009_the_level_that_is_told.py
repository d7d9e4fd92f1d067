"""The level that the ID token tells, which depends on what the application named as essential.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("authorizations", sa.Column("acr", sa.String(32), nullable=True))


def downgrade() -> None:
    op.drop_column("authorizations", "acr")
