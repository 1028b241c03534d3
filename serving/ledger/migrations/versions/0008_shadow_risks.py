"""The risks of a challenger beside those of the champion, on every published day while it is in shadow."""

from alembic import op

revision = "0008"
down_revision = "0007"

TYPES = {
    "sqlite": {"id": "integer not null primary key", "instant": "datetime"},
    "postgresql": {"id": "bigserial primary key", "instant": "timestamp"},
}


def upgrade() -> None:
    """Create the table."""
    types = TYPES[op.get_bind().dialect.name]
    op.execute(
        f"""create table shadow_risks (
            id {types["id"]}, recorded_at {types["instant"]} not null, challenger integer not null,
            champion integer not null, label_hash varchar(16) not null, account_id varchar not null,
            as_of {types["instant"]} not null, risks text not null, champion_risks text not null,
            family varchar(50), champion_family varchar(50)
        )"""
    )
    op.execute("create index shadow_risks_by_day on shadow_risks (challenger, champion, as_of)")


def downgrade() -> None:
    """Remove the table."""
    op.execute("drop table shadow_risks")
