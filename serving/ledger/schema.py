"""The tables of the ledger's database: SQLite or Postgres.

To change one, change it here, add a revision to `migrations/versions` and raise `HEAD_REVISION`.
"""

import sqlalchemy as sql

HEAD_REVISION = "0011"
VERSION_TABLE = "oarlock_schema_version"  # MLflow may keep an `alembic_version` of its own in the same database
METADATA = sql.MetaData()
# SQLite counts in 64 bits only under its own name for it.
BIG_ID = sql.BigInteger().with_variant(sql.Integer, "sqlite")
RISKS = sql.Table(
    "risks",
    METADATA,
    sql.Column("id", BIG_ID, primary_key=True, autoincrement=True),
    sql.Column("scored_at", sql.DateTime, nullable=False),
    sql.Column("request_id", sql.String(64), nullable=False),
    sql.Column("account_id", sql.String, nullable=False),
    sql.Column("as_of", sql.DateTime, nullable=False),
    sql.Column("risk", sql.Double, nullable=False),
    sql.Column("base", sql.Double, nullable=False),
    sql.Column("band", sql.String(16), nullable=False),
    sql.Column("status", sql.String(16), nullable=False),
    sql.Column("mrr", sql.Double),
    sql.Column("model", sql.String, nullable=False),
    sql.Column("version", sql.Integer, nullable=False),
    sql.Column("label_hash", sql.String(16), nullable=False),
    sql.Column("signal_set", sql.String(16), nullable=False),
    sql.Column("score", sql.Text, nullable=False),
    # Of `Purpose` in serving/schemas/enums.py. Only what was served counts for past answers, monitoring and webhooks.
    sql.Column("purpose", sql.String(16), nullable=False, server_default="served"),
    sql.Column("currency", sql.String(3)),  # of the amounts; null if the data set declared none
    sql.Index("risks_by_account", "account_id", "as_of"),
    sql.Index("risks_by_day", "purpose", "as_of"),
)
# How much of each segment of the write-ahead log the database holds. It is written in the transaction that stores the
# rows, so that no row is lost or stored twice, whenever a process dies.
WAL_CHECKPOINTS = sql.Table(
    "wal_checkpoints",
    METADATA,
    sql.Column("segment", sql.String(64), primary_key=True),
    sql.Column("stored_bytes", BIG_ID, nullable=False),
    sql.Column("updated_at", sql.DateTime, nullable=False),
)
API_KEYS = sql.Table(
    "api_keys",
    METADATA,
    sql.Column("id", sql.String(16), primary_key=True),
    sql.Column("name", sql.String(100), nullable=False),
    sql.Column("hash", sql.String(64), nullable=False),
    sql.Column("scopes", sql.String(100), nullable=False),
    sql.Column("per_minute", sql.Integer, nullable=False),
    sql.Column("created_at", sql.DateTime, nullable=False),
    sql.Column("expires_at", sql.DateTime),
    sql.Column("revoked_at", sql.DateTime),
    sql.Column("owner", sql.String(200)),
)
AUDIT_LOG = sql.Table(
    "audit_log",
    METADATA,
    sql.Column("id", BIG_ID, primary_key=True, autoincrement=True),
    sql.Column("at", sql.DateTime, nullable=False),
    sql.Column("actor", sql.String(100), nullable=False),
    sql.Column("action", sql.String(50), nullable=False),
    sql.Column("subject", sql.String(200), nullable=False),
    sql.Column("details", sql.Text, nullable=False),
    sql.Index("audit_log_by_time", "at"),
)
# The response to a request with an idempotency key. It has no status while the request is being answered.
IDEMPOTENT_RESPONSES = sql.Table(
    "idempotent_responses",
    METADATA,
    sql.Column("key_id", sql.String(16), primary_key=True),
    sql.Column("idempotency_key", sql.String(200), primary_key=True),
    sql.Column("request_hash", sql.String(64), nullable=False),
    sql.Column("created_at", sql.DateTime, nullable=False),
    sql.Column("status", sql.Integer),
    sql.Column("content_type", sql.String(100)),
    sql.Column("body", sql.LargeBinary),
)
FEEDBACK = sql.Table(
    "feedback",
    METADATA,
    sql.Column("id", BIG_ID, primary_key=True, autoincrement=True),
    sql.Column("received_at", sql.DateTime, nullable=False),
    sql.Column("account_id", sql.String, nullable=False, index=True),
    sql.Column("verdict", sql.String(16), nullable=False),
    sql.Column("as_of", sql.Date),
    sql.Column("note", sql.Text, nullable=False),
    sql.Column("by", sql.String),
    sql.Column("mark", sql.String(16)),
    sql.Column("mark_until", sql.Date),
    sql.Column("unmark", sql.Boolean, nullable=False),
)
OUTCOMES = sql.Table(
    "outcomes",
    METADATA,
    sql.Column("id", BIG_ID, primary_key=True, autoincrement=True),
    sql.Column("received_at", sql.DateTime, nullable=False),
    sql.Column("account_id", sql.String, nullable=False, index=True),
    sql.Column("outcome", sql.String(16), nullable=False),
    sql.Column("on", sql.Date, nullable=False),
    sql.Column("reason", sql.Text, nullable=False),
    sql.Column("voluntary", sql.Boolean),
)
# Where accounts were exported to, so that they can be erased there.
EXPORT_TARGETS = sql.Table(
    "export_targets",
    METADATA,
    sql.Column("target", sql.String(500), primary_key=True),
    sql.Column("key_column", sql.String(200), nullable=False),
    sql.Column("exported_at", sql.DateTime, nullable=False),
    sql.Column("mark", sql.String(64)),
)
# What was reported of an account so far, as `monitoring/alerts/rules.py` needs it to decide on the next day.
ALERT_STATES = sql.Table(
    "alert_states",
    METADATA,
    sql.Column("account_id", sql.String, primary_key=True),
    sql.Column("as_of", sql.DateTime, nullable=False, index=True),
    sql.Column("state", sql.Text, nullable=False),
)
# Each event for each endpoint: pending, sent, dead (too many attempts) or suppressed (over an owner's budget).
WEBHOOK_DELIVERIES = sql.Table(
    "webhook_deliveries",
    METADATA,
    sql.Column("id", sql.String(64), primary_key=True),
    sql.Column("endpoint", sql.String(100), nullable=False),
    sql.Column("account_id", sql.String),
    sql.Column("event_type", sql.String(32), nullable=False),
    sql.Column("body", sql.Text, nullable=False),
    sql.Column("status", sql.String(16), nullable=False),
    sql.Column("attempts", sql.Integer, nullable=False),
    sql.Column("next_attempt_at", sql.DateTime, nullable=False),
    sql.Column("created_at", sql.DateTime, nullable=False),
    sql.Column("error", sql.String(200), nullable=False),
    sql.Index("webhook_deliveries_due", "status", "next_attempt_at"),
)
# What a challenger in shadow and the champion gave for the same signals: risks by horizon as JSON, and main families.
SHADOW_RISKS = sql.Table(
    "shadow_risks",
    METADATA,
    sql.Column("id", BIG_ID, primary_key=True, autoincrement=True),
    sql.Column("recorded_at", sql.DateTime, nullable=False),
    sql.Column("challenger", sql.Integer, nullable=False),
    sql.Column("champion", sql.Integer, nullable=False),
    sql.Column("label_hash", sql.String(16), nullable=False),
    sql.Column("account_id", sql.String, nullable=False),
    sql.Column("as_of", sql.DateTime, nullable=False),
    sql.Column("risks", sql.Text, nullable=False),
    sql.Column("champion_risks", sql.Text, nullable=False),
    sql.Column("family", sql.String(50)),
    sql.Column("champion_family", sql.String(50)),
    sql.Index("shadow_risks_by_day", "challenger", "champion", "as_of"),
)
# Every run of `oarlock monitor`, and the verdicts that somebody acknowledged until a day.
MONITOR_RUNS = sql.Table(
    "monitor_runs",
    METADATA,
    sql.Column("id", BIG_ID, primary_key=True, autoincrement=True),
    sql.Column("run_at", sql.DateTime, nullable=False),
    sql.Column("as_of", sql.DateTime, nullable=False),
    sql.Column("version", sql.Integer, nullable=False),
    sql.Column("verdict", sql.String(40), nullable=False),
    sql.Column("subject", sql.String(200), nullable=False),
    sql.Column("cause", sql.Text, nullable=False),
    sql.Column("began_after", sql.DateTime),
    sql.Column("began_before", sql.DateTime),
    sql.Column("figures", sql.Text, nullable=False),
    sql.Column("waiting", sql.Text, nullable=False, server_default=""),
    sql.Column("command", sql.Text, nullable=False, server_default=""),
    sql.Column("tells_from", sql.DateTime),
    sql.Column("sources", sql.Text, nullable=False, server_default="[]"),
    sql.Column("checks", sql.Text, nullable=False, server_default="{}"),
    sql.Column("registered", sql.Integer),
    sql.Index("monitor_runs_by_day", "as_of"),
)
MONITOR_ACKNOWLEDGEMENTS = sql.Table(
    "monitor_acknowledgements",
    METADATA,
    sql.Column("id", BIG_ID, primary_key=True, autoincrement=True),
    sql.Column("acknowledged_at", sql.DateTime, nullable=False),
    sql.Column("verdict", sql.String(40), nullable=False),
    sql.Column("subject", sql.String(200), nullable=False),
    sql.Column("until", sql.DateTime, nullable=False),
    sql.Column("because", sql.Text, nullable=False),
)
# What several machines that serve one state share. How often each key was used in a minute, as each machine counted it.
SHARED_SECRETS = sql.Table(
    "shared_secrets",
    METADATA,
    sql.Column("name", sql.String(50), primary_key=True),
    sql.Column("secret", sql.LargeBinary, nullable=False),
)
REQUEST_COUNTS = sql.Table(
    "request_counts",
    METADATA,
    sql.Column("machine", sql.String(32), primary_key=True),
    sql.Column("key_id", sql.String(24), primary_key=True),
    sql.Column("minute", sql.BigInteger, primary_key=True),
    sql.Column("requests", sql.Integer, nullable=False),
)
# Views of the portfolio that somebody named: an address, and no rows. `key_id` is empty for this machine without a key;
# `owner` is that to whose accounts the key was limited.
SAVED_VIEWS = sql.Table(
    "saved_views",
    METADATA,
    sql.Column("id", BIG_ID, primary_key=True, autoincrement=True),
    sql.Column("key_id", sql.String(16), nullable=False),
    sql.Column("owner", sql.String(200)),
    sql.Column("name", sql.String(60), nullable=False),
    sql.Column("query", sql.Text, nullable=False),
    sql.Column("is_shared", sql.Boolean, nullable=False),
    sql.Column("is_default", sql.Boolean, nullable=False),
    sql.Column("saved_at", sql.DateTime, nullable=False),
    sql.Index("saved_views_by_name", "key_id", "name", unique=True),
)
