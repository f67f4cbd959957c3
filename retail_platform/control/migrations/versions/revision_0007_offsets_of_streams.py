"""Which offsets of a topic belong to which hour of a table."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "stream_offsets",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("table", sa.String(200), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("topic", sa.String(249), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("start_offset", sa.BigInteger(), nullable=False),
        sa.Column("end_offset", sa.BigInteger(), nullable=False),
        sa.Column("lost", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("planned_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stream_offsets")),
        sa.UniqueConstraint(
            "table",
            "topic",
            "hour",
            "partition",
            name=op.f("uq_stream_offsets_table_topic_hour_partition"),
        ),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("stream_offsets")
