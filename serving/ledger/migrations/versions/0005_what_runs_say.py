"""What a run of `oarlock monitor` says besides its verdict: what waiting costs, what acts, sources and checks."""

from alembic import op

revision = "0005"
down_revision = "0004"

INSTANT_TYPES = {"sqlite": "datetime", "postgresql": "timestamp"}
TEXT_COLUMNS = {"waiting": "''", "command": "''", "sources": "'[]'", "checks": "'{}'"}


def upgrade() -> None:
    """Add the columns; a run of an older release has none of this."""
    for column, default in TEXT_COLUMNS.items():
        op.execute(f"alter table monitor_runs add column {column} text not null default {default}")
    op.execute(f"alter table monitor_runs add column tells_from {INSTANT_TYPES[op.get_bind().dialect.name]}")


def downgrade() -> None:
    """Remove the columns."""
    for column in (*TEXT_COLUMNS, "tells_from"):
        op.execute(f"alter table monitor_runs drop column {column}")
