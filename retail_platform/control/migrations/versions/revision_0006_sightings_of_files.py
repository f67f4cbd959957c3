"""When files were first seen as they are, and which deliveries repeat another one."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table and add the column."""
    op.create_table(
        "file_sightings",
        sa.Column("table", sa.String(length=200), nullable=False),
        sa.Column("path", sa.String(length=1000), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("stamp", sa.String(length=100), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("table", "path", name=op.f("pk_file_sightings")),
    )
    op.add_column("files", sa.Column("duplicate_of", sa.String(length=1000), nullable=True))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("files", "duplicate_of")
    op.drop_table("file_sightings")
