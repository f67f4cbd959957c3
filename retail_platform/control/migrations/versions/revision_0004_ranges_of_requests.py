"""The exact bounds of a request that overrides the watermarks' windows."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    for name in ("range_start", "range_end"):
        op.add_column("requests", sa.Column(name, sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Drop them."""
    for name in ("range_end", "range_start"):
        op.drop_column("requests", name)
