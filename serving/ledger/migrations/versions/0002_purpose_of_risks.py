"""Why a risk was computed: it was served, viewed or recomputed.

Older rows do not say it. A risk of a day before one that had been scored already, or of a day that was over a month
old, was a look at the past: it becomes recomputed, so that no past answer and no verdict rests on it.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

AGE_DAYS = {
    "sqlite": "julianday(scored_at) - julianday(as_of)",
    "postgresql": "extract(epoch from scored_at - as_of) / 86400",
}
RECOMPUTED = """
    update risks set purpose = 'recomputed' where id in (
        select id from (
            select id, {age} as age_days, max(as_of) over (partition by request_id, scored_at) as day,
                max(as_of) over (order by id) as newest
            from risks
        ) scored
        where day < newest or age_days > 31
    )
"""


def upgrade() -> None:
    """Add the column, tell looks at the past apart, and index by purpose and day."""
    op.execute("alter table risks add column purpose varchar(16) default 'served' not null")
    op.execute(RECOMPUTED.format(age=AGE_DAYS[op.get_bind().dialect.name]))
    _index_days("purpose, as_of")


def downgrade() -> None:
    """Remove the column; every row stays."""
    _index_days("as_of")
    op.execute("alter table risks drop column purpose")


def _index_days(columns: str) -> None:
    op.execute("drop index risks_by_day")
    op.execute(f"create index risks_by_day on risks ({columns})")
