"""The tables of the database, all in one place, so that opening it makes every one of them."""

import sqlalchemy as sql

METADATA = sql.MetaData()
# A number that grows past two billion rows; SQLite counts in 64 bits only under its own name for it.
NUMBER = sql.BigInteger().with_variant(sql.Integer, "sqlite")
SCHEMA = sql.Table("oarlock_schema", METADATA, sql.Column("number", sql.Integer, nullable=False))
RISKS = sql.Table(
    "risks",
    METADATA,
    sql.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sql.Column("given_at", sql.DateTime, nullable=False),
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
    sql.Column("served", sql.Text, nullable=False),
    sql.Index("risks_by_account", "account_id", "as_of"),
    sql.Index("risks_by_day", "as_of"),
)
# How far the database holds each journal file: written in the transaction that holds its rows, so that none is lost and
# none is there twice, whenever a process dies.
WAL_CHECKPOINTS = sql.Table(
    "journals",
    METADATA,
    sql.Column("name", sql.String(64), primary_key=True),
    sql.Column("done", NUMBER, nullable=False),
    sql.Column("at", sql.DateTime, nullable=False),
)
API_KEYS = sql.Table(
    "api_keys",
    METADATA,
    sql.Column("id", sql.String(16), primary_key=True),
    sql.Column("name", sql.String(100), nullable=False),
    sql.Column("hash", sql.String(64), nullable=False),
    sql.Column("scopes", sql.String(100), nullable=False),
    sql.Column("per_minute", sql.Integer, nullable=False),
    sql.Column("made_at", sql.DateTime, nullable=False),
    sql.Column("expires_at", sql.DateTime),
    sql.Column("revoked_at", sql.DateTime),
)
AUDIT_LOG = sql.Table(
    "audit",
    METADATA,
    sql.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sql.Column("at", sql.DateTime, nullable=False),
    sql.Column("actor", sql.String(100), nullable=False),
    sql.Column("action", sql.String(50), nullable=False),
    sql.Column("subject", sql.String(200), nullable=False),
    sql.Column("detail", sql.Text, nullable=False),
    sql.Index("audit_by_time", "at"),
)
# What a request with an idempotency key was answered; without a status it is still being answered.
IDEMPOTENT_RESPONSES = sql.Table(
    "replies",
    METADATA,
    sql.Column("asker", sql.String(16), primary_key=True),
    sql.Column("idempotency_key", sql.String(200), primary_key=True),
    sql.Column("request", sql.String(64), nullable=False),
    sql.Column("at", sql.DateTime, nullable=False),
    sql.Column("status", sql.Integer),
    sql.Column("content_type", sql.String(100)),
    sql.Column("body", sql.LargeBinary),
)
FEEDBACK = sql.Table(
    "feedback",
    METADATA,
    sql.Column("id", NUMBER, primary_key=True, autoincrement=True),
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
    sql.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sql.Column("received_at", sql.DateTime, nullable=False),
    sql.Column("account_id", sql.String, nullable=False, index=True),
    sql.Column("outcome", sql.String(16), nullable=False),
    sql.Column("on", sql.Date, nullable=False),
    sql.Column("reason", sql.Text, nullable=False),
    sql.Column("voluntary", sql.Boolean),
)
# Where accounts were exported to, so that they can be erased there.
EXPORT_TARGETS = sql.Table(
    "exports",
    METADATA,
    sql.Column("target", sql.String(500), primary_key=True),
    sql.Column("key", sql.String(200), nullable=False),
    sql.Column("at", sql.DateTime, nullable=False),
)
# What was told of an account so far, as `monitoring/alerts/rules.py` needs it to decide on the next day.
ALERT_STATES = sql.Table(
    "watched",
    METADATA,
    sql.Column("account_id", sql.String, primary_key=True),
    sql.Column("as_of", sql.DateTime, nullable=False, index=True),
    sql.Column("state", sql.Text, nullable=False),
)
# Each event for each endpoint: pending, sent, dead (tried in vain) or suppressed (beyond an owner's budget).
WEBHOOK_DELIVERIES = sql.Table(
    "deliveries",
    METADATA,
    sql.Column("id", sql.String(64), primary_key=True),
    sql.Column("endpoint", sql.String(100), nullable=False),
    sql.Column("account_id", sql.String),
    sql.Column("kind", sql.String(32), nullable=False),
    sql.Column("body", sql.Text, nullable=False),
    sql.Column("status", sql.String(16), nullable=False),
    sql.Column("attempts", sql.Integer, nullable=False),
    sql.Column("next_at", sql.DateTime, nullable=False),
    sql.Column("made_at", sql.DateTime, nullable=False),
    sql.Column("error", sql.String(200), nullable=False),
    sql.Index("deliveries_due", "status", "next_at"),
)
