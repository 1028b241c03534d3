"""The version that `oarlock monitor --act` registered for the verdict of a run."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column; it is not known of the runs of older releases."""
    op.execute("alter table monitor_runs add column registered integer")


def downgrade() -> None:
    """Remove the column."""
    op.execute("alter table monitor_runs drop column registered")
