"""Views of the portfolio that somebody named."""

from alembic import op

revision = "0010"
down_revision = "0009"

TYPES = {
    "sqlite": {"id": "integer not null primary key", "instant": "datetime"},
    "postgresql": {"id": "bigserial primary key", "instant": "timestamp"},
}


def upgrade() -> None:
    """Create the table."""
    types = TYPES[op.get_bind().dialect.name]
    op.execute(
        f"""create table saved_views (
            id {types["id"]}, key_id varchar(16) not null, owner varchar(200),
            name varchar(60) not null, query text not null, is_shared boolean not null, is_default boolean not null,
            saved_at {types["instant"]} not null
        )"""
    )
    op.execute("create unique index saved_views_by_name on saved_views (key_id, name)")


def downgrade() -> None:
    """Remove the table."""
    op.execute("drop table saved_views")
