"""The currency of the amounts of a risk; that of older rows is not known."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the column."""
    op.execute("alter table risks add column currency varchar(3)")


def downgrade() -> None:
    """Remove it."""
    op.execute("alter table risks drop column currency")
