"""Writing through the API: calls done once, reference data, and the business of members and pension accounts.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from portal.db import Digest, Id, UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

FILL = (
    "UPDATE fund_members SET business_id = (SELECT f.business_id FROM funds f WHERE f.id = fund_members.fund_id)",
    "UPDATE pension_accounts SET business_id = (SELECT m.business_id FROM fund_members m WHERE m.id = pension_accounts.member_id)",
)


def upgrade() -> None:
    op.create_table(
        "idempotent_calls",
        sa.Column("key_digest", Digest, nullable=False),
        sa.Column("request_digest", Digest, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("headers", sa.JSON(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("key_digest", name=op.f("pk_idempotent_calls")),
    )
    op.create_index("ix_idempotent_calls_created_at", "idempotent_calls", ["created_at"], unique=False)
    op.create_table(
        "fund_reference_data",
        sa.Column("fund_id", Id, nullable=False),
        sa.Column("as_at", sa.Date(), nullable=False),
        sa.Column("chart_of_accounts", sa.JSON(), nullable=False),
        sa.Column("investment_codes", sa.JSON(), nullable=False),
        sa.Column("opening_balances", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("loaded_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["fund_id"], ["funds.id"], name=op.f("fk_fund_reference_data_fund_id_funds")),
        sa.PrimaryKeyConstraint("fund_id", name=op.f("pk_fund_reference_data")),
    )
    for table, statement in zip(("fund_members", "pension_accounts"), FILL, strict=True):
        # SQLite adds a column that is never NULL only with a default, and cannot take the default away again.
        op.add_column(table, sa.Column("business_id", Id, nullable=False, server_default=""))
        op.execute(statement)
        if op.get_bind().dialect.name != "sqlite":
            op.alter_column(table, "business_id", server_default=None)
        op.create_index(f"ix_{table}_business_id_id", table, ["business_id", "id"], unique=False)


def downgrade() -> None:
    for table in ("pension_accounts", "fund_members"):
        op.drop_index(f"ix_{table}_business_id_id", table_name=table)
        op.drop_column(table, "business_id")
    op.drop_table("fund_reference_data")
    op.drop_index("ix_idempotent_calls_created_at", table_name="idempotent_calls")
    op.drop_table("idempotent_calls")
