"""The servers that hold what is in files of the state folder by default."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from configs.sections.section import Section


class StoreSettings(Section):
    """The servers that hold what is in files of the state folder by default. Better set in the environment."""

    online: SecretStr | None = None
    """A Redis for the online store, such as redis://...; SQLite in the state folder by default."""
    online_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")] = "oarlock"
    """What the keys in Redis begin with; several installations may share a server."""
    online_days: Annotated[int, Field(ge=1)] = 30
    """Redis drops what was published so many days ago, so that nothing is served for ever if publishing stops."""
    history: Path | None = None
    """A folder for the history, such as one that all machines mount; below the state by default."""
    feast_registry: SecretStr | None = None
    """A database for Feast's registry, such as postgresql://...; a file in the state folder by default."""
    mlflow: SecretStr | None = None
    """An MLflow server, such as https://..., or a database, postgresql://...; SQLite in the state folder by default."""
    mlflow_artifacts: str | None = None
    """Where MLflow keeps models if `mlflow` is a database, such as s3://... or a folder; below the state by default."""
    mlflow_database: SecretStr | None = None
    """The database behind the MLflow server, such as postgresql://...; `backup` and `restore` need it, nothing else."""


class LedgerSettings(Section):
    """Where the ledger is, and how far its database may be behind."""

    url: SecretStr | None = None
    """A database, such as postgresql://...; SQLite in the state folder by default. Better set in the environment."""
    durability: Literal["process", "fsync"] = "process"
    """What a recorded risk survives: a crash of its process, or of the machine (every response waits for the disk)."""
    max_backlog_bytes: Annotated[int, Field(ge=1)] = 256_000_000
    """How far the database may be behind: some 100,000 risks with their drivers."""
    backpressure_timeout_seconds: Annotated[float, Field(ge=0)] = 2.0
    """After that a request waits this long, and is refused with 503."""
