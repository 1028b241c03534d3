"""The tables of the first release."""

from alembic import op

revision = "0001"
down_revision = None

TABLES = (
    """risks (
        id {id}, scored_at {instant} not null, request_id varchar(64) not null, account_id varchar not null,
        as_of {instant} not null, risk {double} not null, base {double} not null,
        band varchar(16) not null, status varchar(16) not null, mrr {double}, model varchar not null,
        version integer not null, label_hash varchar(16) not null, signal_set varchar(16) not null, score text not null
    )""",
    """wal_checkpoints (
        segment varchar(64) not null primary key, stored_bytes {bigint} not null, updated_at {instant} not null
    )""",
    """api_keys (
        id varchar(16) not null primary key, name varchar(100) not null, hash varchar(64) not null,
        scopes varchar(100) not null, per_minute integer not null, created_at {instant} not null,
        expires_at {instant}, revoked_at {instant}
    )""",
    """audit_log (
        id {id}, at {instant} not null, actor varchar(100) not null, action varchar(50) not null,
        subject varchar(200) not null, details text not null
    )""",
    """idempotent_responses (
        key_id varchar(16) not null, idempotency_key varchar(200) not null, request_hash varchar(64) not null,
        created_at {instant} not null, status integer, content_type varchar(100), body {bytes},
        primary key (key_id, idempotency_key)
    )""",
    """feedback (
        id {id}, received_at {instant} not null, account_id varchar not null, verdict varchar(16) not null, as_of date,
        note text not null, by varchar, mark varchar(16), mark_until date, unmark boolean not null
    )""",
    """outcomes (
        id {id}, received_at {instant} not null, account_id varchar not null, outcome varchar(16) not null,
        "on" date not null, reason text not null, voluntary boolean
    )""",
    """export_targets (
        target varchar(500) not null primary key, key_column varchar(200) not null, exported_at {instant} not null
    )""",
    "alert_states (account_id varchar not null primary key, as_of {instant} not null, state text not null)",
    """webhook_deliveries (
        id varchar(64) not null primary key, endpoint varchar(100) not null, account_id varchar,
        event_type varchar(32) not null, body text not null, status varchar(16) not null, attempts integer not null,
        next_attempt_at {instant} not null, created_at {instant} not null, error varchar(200) not null
    )""",
)
INDEXES = (
    "risks_by_account on risks (account_id, as_of)",
    "risks_by_day on risks (as_of)",
    "audit_log_by_time on audit_log (at)",
    "ix_feedback_account_id on feedback (account_id)",
    "ix_outcomes_account_id on outcomes (account_id)",
    "ix_alert_states_as_of on alert_states (as_of)",
    "webhook_deliveries_due on webhook_deliveries (status, next_attempt_at)",
)
TYPES = {
    "sqlite": {
        "id": "integer not null primary key", "bigint": "integer", "double": "double", "instant": "datetime",
        "bytes": "blob",
    },
    "postgresql": {
        "id": "bigserial primary key", "bigint": "bigint", "double": "double precision", "instant": "timestamp",
        "bytes": "bytea",
    },
}  # fmt: skip


def upgrade() -> None:
    """Create every table and index."""
    types = TYPES[op.get_bind().dialect.name]
    for table in TABLES:
        op.execute(f"create table {table.format(**types)}")
    for index in INDEXES:
        op.execute(f"create index {index}")
