"""Requests over ranges of hours, approvals, decisions on quarantined rows, causes of a load."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _id() -> sa.Column[int]:
    numbered = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("id", numbered, autoincrement=True, nullable=False)


def upgrade() -> None:
    """Create the tables and add the columns."""
    for column in (
        sa.Column("reprocess", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("request_id", sa.BigInteger(), nullable=True),
        sa.Column("causes", sa.Text(), nullable=True),
        sa.Column("cluster", sa.String(length=100), nullable=True),
        sa.Column("cost_usd", sa.Float(), nullable=True),
    ):
        op.add_column("loads", column)
    op.create_table(
        "requests",
        _id(),
        sa.Column("table", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("first_hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("requester", sa.String(length=200), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("hours", sa.Integer(), nullable=False),
        sa.Column("hours_done", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("hours_failed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "status IN ('OPEN', 'RUNNING', 'SUCCESS', 'PARTIAL_SUCCESS', 'FAILURE')",
            name=op.f("ck_requests_status"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_requests")),
    )
    op.create_index(op.f("ix_requests_table_status"), "requests", ["table", "status"])
    op.create_table(
        "approvals",
        _id(),
        sa.Column("asset", sa.String(length=200), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rule", sa.String(length=100), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("person", sa.String(length=200), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_by_load", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approvals")),
    )
    op.create_index(op.f("ix_approvals_asset_hour"), "approvals", ["asset", "hour"])
    op.create_table(
        "quarantine_decisions",
        _id(),
        sa.Column("entity", sa.String(length=200), nullable=False),
        sa.Column("row_hash", sa.String(length=64), nullable=False),
        sa.Column("decision", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("person", sa.String(length=200), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "decision IN ('REPLAYED', 'DISCARDED')", name=op.f("ck_quarantine_decisions_decision")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine_decisions")),
    )
    op.create_index(
        op.f("ix_quarantine_decisions_entity_row_hash"),
        "quarantine_decisions",
        ["entity", "row_hash"],
    )


def downgrade() -> None:
    """Drop the tables and columns."""
    op.drop_table("quarantine_decisions")
    op.drop_table("approvals")
    op.drop_table("requests")
    for name in ("cost_usd", "cluster", "causes", "request_id", "reprocess"):
        op.drop_column("loads", name)
