"""What a read brought whole beyond its rows, and how often an API was called."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them."""
    op.add_column("loads", sa.Column("covered", sa.Text(), nullable=True))
    op.create_table(
        "api_calls",
        sa.Column("api", sa.String(200), nullable=False),
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("api", "minute", name="pk_api_calls"),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("api_calls")
    op.drop_column("loads", "covered")
