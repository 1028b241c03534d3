"""What publishing reads and how: the raw tables, the engine, the days, and when a day is refused."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from configs.sections.section import Days, Section, Share


class DataSettings(Section):
    """Where the raw tables come from."""

    dataset: Path
    """The mapping: the TOML file that names the sources and maps them onto the tables."""
    folder: Path | None = None
    """Where the source files are, if not where the mapping says."""
    copies: Path | None = None
    """Where the rows of databases are copied to. Undeclared: the state folder."""
    on_invalid_rows: Literal["error", "quarantine"] = "error"
    """Stop at rows outside the contract, or write them to a separate file and go on."""


class EngineSettings(Section):
    """Where the signals are computed: DuckDB in this process, or Spark for data that outgrows one machine."""

    kind: Literal["duckdb", "spark"] = "duckdb"
    """The engine."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """DuckDB: threads; all cores by default."""
    memory_limit: str = "4GB"
    """DuckDB: above it, it continues on disk. 100,000 accounts take no longer with the default."""
    master: str = "local[*]"
    """Spark: the cluster."""
    options: dict[str, str] = {}
    """Spark: options of the session."""

    @model_validator(mode="after")
    def _refuse_unused_keys(self) -> "EngineSettings":
        unused_by_kind = {"duckdb": ("master", "options"), "spark": ("threads", "memory_limit")}
        unused = [name for name in unused_by_kind[self.kind] if name in self.model_fields_set]
        if unused:
            raise ValueError(f"{unused[0]} has no effect with kind = '{self.kind}'")
        return self


class QualitySettings(Section):
    """When a new day is refused. Each threshold lets pass what happens to healthy companies in a bad month."""

    compared_days: Annotated[int, Field(ge=1)] = 6
    """Past days to compare with: half a year of monthly snapshots, or a week of daily ones."""
    min_snapshot_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.7
    """Accounts of the day, relative to the days before. Few companies lose a third between two days."""
    max_snapshot_ratio: Annotated[float, Field(gt=1)] = 1.5
    """The same from above. Few companies win half as many again."""
    max_missing_increase: Share = 0.2
    """How much larger the share of missing values of a signal may become. Holidays empty some windows."""
    compared_windows: Annotated[int, Field(ge=2)] = 6
    """Past windows to compare a source with: two months of weeks, half a year of four weeks."""
    min_row_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.25
    """Rows of a source, relative to the quietest window before. The last week of a year keeps more than this."""
    max_row_ratio: Annotated[float, Field(gt=1)] = 1.8
    """Rows of a source, relative to the busiest window before. Rows that are delivered twice exceed it."""
    min_rows_to_check: Annotated[int, Field(ge=1)] = 50
    """Sources with fewer rows in a window are not checked: chance alone could stop or double them."""


class SnapshotSettings(Section):
    """How often accounts are observed for training."""

    frequency: Literal["monthly", "weekly", "quarterly"] | Annotated[int, Field(strict=True, ge=1, le=366)] = "monthly"
    """One snapshot per account and month, week, quarter, or so many days.

    They are taken on the first day of a calendar month or quarter, on Mondays, or each so many days from 3 January 2000
    on, a Monday, so that a longer history does not shift them. Each takes a day, so quarters need years of history.
    """
    warmup_days: Days = 28
    """Days at the start of the data without snapshots, so that windows can fill."""
