"""The mark by which an export target is recognised as ours."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column; a target of an older release has no mark until it is exported again."""
    op.execute("alter table export_targets add column mark varchar(64)")


def downgrade() -> None:
    """Remove the column."""
    op.execute("alter table export_targets drop column mark")
