"""What several machines share: the secret of their sessions, and how many requests each counted of a key."""

from alembic import op

revision = "0009"
down_revision = "0008"

BYTES = {"sqlite": "blob", "postgresql": "bytea"}


def upgrade() -> None:
    """Create the tables."""
    op.execute(
        f"""create table shared_secrets (
            name varchar(50) not null primary key, secret {BYTES[op.get_bind().dialect.name]} not null
        )"""
    )
    op.execute(
        """create table request_counts (
            machine varchar(32) not null, key_id varchar(24) not null, minute bigint not null,
            requests integer not null, primary key (machine, key_id, minute)
        )"""
    )


def downgrade() -> None:
    """Remove the tables."""
    op.execute("drop table request_counts")
    op.execute("drop table shared_secrets")
