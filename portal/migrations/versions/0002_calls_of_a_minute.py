"""The calls that consents make in a minute.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from portal.db import Id

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "call_windows",
        sa.Column("consent_id", Id, nullable=False),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["consent_id"], ["consents.id"], name=op.f("fk_call_windows_consent_id_consents")),
        sa.PrimaryKeyConstraint("consent_id", name=op.f("pk_call_windows")),
    )


def downgrade() -> None:
    op.drop_table("call_windows")
