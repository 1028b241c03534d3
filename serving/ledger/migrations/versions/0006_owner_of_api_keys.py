"""The owner to whose accounts an API key is limited."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column; the keys of older releases are not limited."""
    op.execute("alter table api_keys add column owner varchar(200)")


def downgrade() -> None:
    """Remove the column."""
    op.execute("alter table api_keys drop column owner")
