"""Every run of `oarlock monitor`, and the verdicts that somebody acknowledged."""

from alembic import op

revision = "0004"
down_revision = "0003"

TABLES = (
    """monitor_runs (
        id {id}, run_at {instant} not null, as_of {instant} not null, version integer not null,
        verdict varchar(40) not null, subject varchar(200) not null, cause text not null,
        began_after {instant}, began_before {instant}, figures text not null
    )""",
    """monitor_acknowledgements (
        id {id}, acknowledged_at {instant} not null, verdict varchar(40) not null, subject varchar(200) not null,
        until {instant} not null, because text not null
    )""",
)
TYPES = {
    "sqlite": {"id": "integer not null primary key", "instant": "datetime"},
    "postgresql": {"id": "bigserial primary key", "instant": "timestamp"},
}


def upgrade() -> None:
    """Create both tables."""
    types = TYPES[op.get_bind().dialect.name]
    for table in TABLES:
        op.execute(f"create table {table.format(**types)}")
    op.execute("create index monitor_runs_by_day on monitor_runs (as_of)")


def downgrade() -> None:
    """Remove both tables."""
    op.execute("drop table monitor_acknowledgements")
    op.execute("drop table monitor_runs")
