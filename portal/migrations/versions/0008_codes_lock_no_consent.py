"""Authorizations name their consent without a foreign key, which locked and wrote the consent for each code.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

NAME = "fk_authorizations_consent_id_consents"


def upgrade() -> None:
    with op.batch_alter_table("authorizations") as table:
        table.drop_constraint(NAME, type_="foreignkey")


def downgrade() -> None:
    with op.batch_alter_table("authorizations") as table:
        table.create_foreign_key(NAME, "consents", ["consent_id"], ["id"])
