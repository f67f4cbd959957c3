"""Decisions on quarantined rows say which contract refused the row, and which load took it in."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column(
        "quarantine_decisions", sa.Column("contract_version", sa.String(length=50), nullable=True)
    )
    op.add_column("quarantine_decisions", sa.Column("load_id", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Drop the columns."""
    for name in ("load_id", "contract_version"):
        op.drop_column("quarantine_decisions", name)
