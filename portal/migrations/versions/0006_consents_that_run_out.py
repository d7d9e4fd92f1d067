"""Where the consents are found that have run out.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

OF_ALL = sa.text("revoked_at IS NULL")
OF_ONE_SESSION = sa.text("revoked_at IS NULL AND session_id IS NOT NULL")


def upgrade() -> None:
    op.create_index(
        "ix_consents_expires_at", "consents", ["expires_at"], unique=False, sqlite_where=OF_ALL, postgresql_where=OF_ALL
    )
    op.create_index(
        "ix_consents_session_id",
        "consents",
        ["session_id"],
        unique=False,
        sqlite_where=OF_ONE_SESSION,
        postgresql_where=OF_ONE_SESSION,
    )


def downgrade() -> None:
    op.drop_index("ix_consents_session_id", table_name="consents")
    op.drop_index("ix_consents_expires_at", table_name="consents")
