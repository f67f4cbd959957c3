"""Which process works on a request, so that one whose process is gone can be closed."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    with op.batch_alter_table("requests") as batch:
        batch.add_column(sa.Column("owner", sa.String(300), nullable=True))


def downgrade() -> None:
    """Drop it."""
    with op.batch_alter_table("requests") as batch:
        batch.drop_column("owner")
