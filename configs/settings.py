"""The settings: one TOML file, read once into frozen values; an unknown setting is an error.

`OARLOCK_<SECTION>__<KEY>` in the environment overrides the file, e.g. `OARLOCK_LABEL__HORIZON_DAYS=90`.
A relative path in the file starts at the file's folder, one in the environment at the current folder.
"""

import os
import re
import tomllib
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self, cast, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from configs.addresses import require_safe_address
from configs.bands import Band
from configs.errors import ConfigError
from configs.files import JsonObject

Days = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(gt=0)]
LabelMode = Literal["contract", "inactivity", "event", "contraction", "query"]
SIGNAL_NAME = r"^[a-z][a-z0-9_]{0,59}$"
SignalName = Annotated[str, Field(pattern=SIGNAL_NAME)]
Windows = Annotated[tuple[Annotated[int, Field(ge=1, le=1_000)], ...], Field(min_length=1)]
EventMeasure = Literal["count", "users", "days_since", "trend", "share", "sum", "mean"]
Family = Literal[
    "adoption", "value", "support", "relationship", "sentiment", "billing", "contract", "onboarding", "engagement",
    "customer_profile",
]  # fmt: skip
ENVIRONMENT_PREFIX = "OARLOCK_"
Topology = Literal["embedded", "standard", "large"]
TOPOLOGIES = Path(__file__).with_name("topologies")


class Section(BaseModel):
    """A part of the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


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


class FamilySettings(Section):
    """A family of your own signals."""

    sentence: Annotated[str, Field(min_length=1)]
    """What its signals are about."""


def _to_kinds(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class EventSignalSettings(Section):
    """Signals of some kinds of usage events: one per measure and window, such as `exports_28d`."""

    name: SignalName
    """How the signals begin."""
    event: Annotated[tuple[str, ...], BeforeValidator(_to_kinds), Field(min_length=1)]
    """The kind of event, or several that count together, as `usage.event` has them."""
    windows: Windows = (7, 28, 91)
    """Windows in days."""
    measures: Annotated[tuple[EventMeasure, ...], Field(min_length=1)] = ("count", "users", "days_since", "trend")
    """`count`, distinct `users`, `days_since` the last, `trend` against the window before, `share` of all events.

    `sum` adds up the column `of` over the events, `mean` is that by event.
    """
    of: SignalName | None = None
    """A column of numbers of `usage` that the contract does not name, such as minutes or rows exported."""
    unit: str = ""
    """The unit of `of`; its name by default."""
    label: str = ""
    """What the events are called in a sentence; the name by default."""
    family: SignalName = "adoption"
    """The family of the signals."""
    actionable: bool = True
    """Whether the team can change it."""
    direction: Literal[-1, 0, 1] = 0
    """1: more of it can only raise the risk; -1: more can only lower it; 0: learned."""

    @model_validator(mode="after")
    def _check_of(self) -> Self:
        of_column = {"sum", "mean"} & set(self.measures)
        if of_column and self.of is None:
            raise ValueError(f"measures: {min(of_column)} needs `of`, a column of numbers of usage")
        if self.of is not None and not of_column:
            raise ValueError("of is for the measures sum and mean")
        return self


class AttributeSettings(Section):
    """A column of accounts that the contract does not name, or one name in the table `attributes`, as a signal."""

    name: SignalName
    """The column of `accounts`, or the `name` in `attributes`; it is the name of the signal, too."""
    kind: Literal["number", "category", "flag"]
    """What its values are."""
    by_time: bool = False
    """Whether it changes, and is in the table `attributes`: account_id, name, value, recorded_at."""
    unit: str = ""
    """The unit of a number."""
    label: str = ""
    """What it is called in a sentence; the name by default."""
    sentence: str = ""
    """What it means."""
    family: SignalName = "customer_profile"
    """The family of the signal."""
    actionable: bool = False
    """Whether the team can change it."""
    direction: Literal[-1, 0, 1] = 0
    """1: a higher value can only raise the risk; -1: it can only lower it; 0: learned. Categories have none."""

    @model_validator(mode="after")
    def _refuse_direction_of_category(self) -> Self:
        if self.kind == "category" and self.direction:
            raise ValueError(f"'{self.name}' is a category, so it has no direction")
        return self


class SignalSettings(Section):
    """Your own signals, beside the built-in ones."""

    events: tuple[EventSignalSettings, ...] = ()
    """Signals of kinds of usage events."""
    attributes: tuple[AttributeSettings, ...] = ()
    """Signals of your own account columns."""
    families: dict[str, FamilySettings] = {}
    """Families of your own."""
    modules: tuple[Path, ...] = ()
    """Python files that declare signals with the decorator of ours; they run with the rights of Oarlock."""
    per_event_kind: Annotated[int, Field(ge=0, le=200)] = 0
    """So many kinds of events, the most used ones, get signals by themselves."""
    kinds_until: date | None = None
    """The most used before this day; undeclared: in all the data when they are first chosen. The choice is kept."""
    exclude: tuple[str, ...] = ()
    """Signals to leave out, by name, with or without the window; those computed from them are left out, too."""

    @model_validator(mode="after")
    def _check_families(self) -> Self:
        for family in self.families:
            if not re.fullmatch(SIGNAL_NAME, family):
                raise ValueError(f"families: '{family}' is not a name of small letters, digits and underscores")
        return self


class SnapshotSettings(Section):
    """How often accounts are observed for training."""

    frequency: Literal["monthly", "weekly", "quarterly"] | Annotated[int, Field(strict=True, ge=1, le=366)] = "monthly"
    """One snapshot per account and month, week, quarter, or so many days.

    They are taken on the first day of a calendar month or quarter, on Mondays, or each so many days from 3 January 2000
    on, a Monday, so that a longer history does not shift them. Each takes a day, so quarters need years of history.
    """
    warmup_days: Days = 28
    """Days at the start of the data without snapshots, so that windows can fill."""


class LabelSettings(Section):
    """What counts as churn.

    - `contract`: no subscription from a day in the horizon on, and none again within the grace.
    - `event`: a notice given in the horizon.
    - `inactivity`: `inactive_days` without usage inside the horizon, of accounts active within `active_within_days`.
    - `contraction`: recurring revenue down by `contraction_share` or more, but not to zero.
    - `query`: what the SQL in `query` answers.
    """

    mode: LabelMode = "contract"
    """What leaving means."""
    lead_days: Days = 0
    """Days between the snapshot and the start of the horizon."""
    horizon_days: Annotated[int, Field(ge=1)] = 90
    """The main horizon: what a model is fitted and evaluated on."""
    horizons: tuple[Annotated[int, Field(ge=1)], ...] = (30, 90, 180)
    """Further horizons that risks are given for."""
    grace_days: Days = 30
    """Mode contract: an account that comes back within these days did not leave."""
    joins_within_hours: Annotated[int, Field(ge=0)] = 24
    """A subscription that begins so soon after another one of the account ends continues it.

    This joins periods that end at 23:59:59 or on their last day, for the accounts at risk, the signals and the labels.
    """
    inactive_days: Annotated[int, Field(ge=1)] = 90
    """Mode inactivity: so long without usage counts as churned. Must fit inside the horizon."""
    active_within_days: Annotated[int, Field(ge=1)] = 180
    """Mode inactivity, or `risk_set = "active"`: the risk set is accounts with usage in these days."""
    contraction_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Mode contraction: the share of revenue that must be lost."""
    query: str | None = None
    """Mode query: a SELECT of account_id, as_of and churned, over the raw tables and `snapshots`.

    It sees what happened before the end of the horizon, and answers true, false, or null if that is not known.
    """
    locked_in_accounts: Literal["keep", "auto", "exclude"] = "keep"
    """Whether accounts whose paid term ends after the horizon count as not churned.

    A model that has never seen such accounts can only guess their risk, so by default they count. With `auto` they
    count only if one of them was seen to leave, which shows that terms can be broken.
    """

    risk_set: Literal["subscribed", "active"] = "subscribed"
    """Mode query: which accounts it is about, those with a running subscription or those with recent usage."""

    @property
    def label_tables(self) -> frozenset[str]:
        """The optional tables that hold the label itself; they give no signals."""
        return frozenset({"notices"}) if self.mode == "event" else frozenset()

    @property
    def required_activity_days(self) -> int | None:
        """An account is in the risk set if active within these days; None if a running subscription decides."""
        by_usage = self.mode == "inactivity" or self.risk_set == "active"
        return self.active_within_days if by_usage else None

    @model_validator(mode="after")
    def _check_horizon(self) -> "LabelSettings":
        if self.mode == "inactivity" and self.inactive_days > self.horizon_days:
            raise ValueError("inactive_days must fit inside horizon_days")
        return self

    @model_validator(mode="after")
    def _check_query(self) -> Self:
        if (self.mode == "query") != (self.query is not None):
            raise ValueError("mode = 'query' needs the setting query, and no other mode has it")
        if self.mode != "query" and self.risk_set != "subscribed":
            raise ValueError("risk_set is for mode = 'query': every other mode has its own")
        return self


class TrainingSettings(Section):
    """How a model is fitted. The same settings, data and seed give the same model to the byte."""

    seed: int = 7
    """The seed of everything random."""
    threads: Annotated[int, Field(ge=1)] = 2
    """Threads that LightGBM uses."""
    num_iterations: Annotated[int, Field(ge=1)] = 600
    """The most trees; early stopping on the calibration days decides how many are kept."""
    num_leaves: Annotated[int, Field(ge=2)] = 4
    """Leaves of a tree."""
    max_num_leaves: Annotated[int, Field(ge=2)] = 32
    """While all trees are used up, trees with twice the leaves are tried, up to this many."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.03
    """How much each tree contributes."""
    min_data_in_leaf: Annotated[int, Field(ge=1)] = 20
    """Snapshots in a leaf, at least. Small enough to separate the few who gave notice."""
    linear_prior_sd: Annotated[float, Field(ge=0)] = 1.0
    """Prior standard deviation of the linear part's effect on the log-odds; 0 turns it off."""
    feature_fraction: Annotated[float, Field(gt=0, le=1)] = 0.4
    """Share of signals that each tree may use."""
    bagging_fraction: Annotated[float, Field(gt=0, le=1)] = 0.7
    """Share of snapshots that each tree is fitted on."""
    lambda_l2: Annotated[float, Field(ge=0)] = 1.0
    """Penalty on the values of leaves."""
    path_smooth: Annotated[float, Field(ge=0)] = 0.0
    """How strongly a leaf is pulled towards its parent."""
    calibration_snapshots: Annotated[int, Field(ge=1)] = 3
    """Days that the calibrator is fitted on."""
    test_snapshots: Annotated[int, Field(ge=1)] = 1
    """Days that the model is tested on."""
    min_churned: Annotated[int, Field(ge=2)] = 20
    """Churned, and retained, accounts that the calibration days must have."""
    min_churned_per_segment: Annotated[int, Field(ge=2)] = 100
    """Churned, and retained, accounts from which a segment gets a calibration of its own."""
    segment_prior_sd: Amount = 0.2
    """Prior standard deviation of a segment's shift of the log-odds."""
    drift_prior_sd: Amount = 0.1
    """Prior standard deviation of the drift of the log-odds within a quarter; past days decide how far it is."""


class ProfitSettings(Section):
    """What keeping an account is worth. The defaults are those of Verbraken, Verbeke & Baesens (2013)."""

    lifetime_value: Amount = 200.0
    """Value of an account that is kept."""
    offer_cost: Annotated[float, Field(ge=0)] = 10.0
    """Cost of the offer."""
    contact_cost: Annotated[float, Field(ge=0)] = 1.0
    """Cost of the contact."""
    alpha: Amount = 6.0
    """An account that would leave accepts the offer with a probability from Beta(`alpha`, `beta`)."""
    beta: Amount = 14.0
    """The second parameter of that distribution."""


class EvaluationSettings(Section):
    """How a model is evaluated."""

    backtest_folds: Annotated[int, Field(ge=1)] = 3
    """Past test days on which the model is refitted and evaluated."""
    fold_spacing_days: Annotated[int, Field(ge=1)] | None = None
    """Days between them; the horizon by default."""
    group_kfold: Annotated[int, Field(ge=0)] = 0
    """If above 1, also evaluate accounts that were left out of the fit, in so many folds."""
    bootstrap_samples: Annotated[int, Field(ge=20)] = 200
    """Bootstrap samples of accounts behind each interval."""
    capacity: Annotated[int, Field(ge=1)] = 50
    """Accounts that the team can call from one day's list."""
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Level of the intervals. With 0.95 a model that is no better than a baseline passes once in 40."""
    ablation_snapshots: Annotated[int, Field(ge=0)] = 20_000
    """The most snapshots that a model without a family is fitted on; 0 turns the ablation off."""
    profit: ProfitSettings = ProfitSettings()


class ComparisonSettings(Section):
    """How much worse than the champion a challenger may be. The whole paired interval must lie within these margins."""

    log_loss_margin: Share = 0.02
    """As a share of the champion's log loss."""
    segment_log_loss_margin: Share = 0.05
    """The same within a segment."""
    calibration_margin: Share = 0.01
    """As a mean distance between risk and churn rate."""
    min_churned: Annotated[int, Field(ge=1)] = 50
    """Segments with fewer churned accounts are not compared."""
    max_flip_share: Share = 0.5
    """Share of the accounts worth a call whose main family may change."""


class StabilitySettings(Section):
    """How often the top family stays the same when the model is refitted on resampled accounts."""

    refits: Annotated[int, Field(ge=2)] = 5
    """How many refits."""
    max_snapshots: Annotated[int, Field(ge=1_000)] = 50_000
    """The most snapshots that a refit is fitted on."""
    min_agreement: Annotated[float, Field(gt=0.5, lt=1)] = 0.9
    """A main reason is returned only if the top family stays on top in this share of refits."""


class HealthScoreSettings(Section):
    """A hand-weighted score, as a baseline."""

    weights: dict[str, float] = {}
    """A weight per signal, positive if a high value is healthy."""


class LeakageSettings(Section):
    """When a model is suspected of knowing the answer."""

    max_signal_auc: Annotated[float, Field(gt=0.5, le=1)] = 0.9
    """The highest AUC that a signal alone may have."""
    lead_days: tuple[Days, ...] = (0, 7, 14, 30)
    """Leave out the accounts that leave sooner than this, and compare the AUC."""
    max_auc_drop: Share = 0.1
    """How much of the AUC may be lost from one lead to the next."""


class BandSettings(Section):
    """The risk from which an account is in a band."""

    watch: Share = 0.05
    """From this risk on: watch."""
    high: Share = 0.10
    """From this risk on: high."""
    critical: Share = 0.20
    """From this risk on: critical."""

    @property
    def thresholds(self) -> tuple[float, float, float]:
        """The risks at which watch, high and critical begin."""
        return self.watch, self.high, self.critical

    @model_validator(mode="after")
    def _check_order(self) -> "BandSettings":
        if not self.watch < self.high < self.critical:
            raise ValueError("watch, high and critical must rise in this order")
        return self


class StageSettings(Section):
    """Where an account is in its life: onboarding, renewing or established."""

    onboarding_days: Days = 90
    """Onboarding: this long after the start."""
    renewing_days: Days = 90
    """Renewing: this long before the end of a term."""
    shortest_term_months: Annotated[float, Field(ge=0)] = 4.0
    """Shorter terms have no stage `renewing`: they would renew all the time."""


class WorkListSettings(Section):
    """Whom to call. The odds and costs of a call are those of `evaluation.profit`."""

    per_owner: Annotated[int, Field(ge=1)] = 10
    """The most accounts for each owner."""
    revenue_months: Annotated[float, Field(gt=0)] = 12.0
    """Keeping an account is worth this many months of its revenue."""
    touched_within_days: Days = 7
    """Accounts that were contacted so recently are excluded."""


def _functions() -> dict[str, str]:
    success, accounts = "customer success", "account management"
    return {
        "adoption": success, "value": success, "engagement": success, "sentiment": success, "onboarding": "onboarding",
        "support": "support", "billing": "finance", "relationship": accounts, "contract": accounts,
        "customer_profile": "marketing and sales",
    }  # fmt: skip


class RetentionSettings(Section):
    """Which reasons for leaving the company can do something about, and which function owns a family of drivers.

    A reason in neither list is shown as unknown.
    """

    controllable: tuple[str, ...] = ()
    """Reasons that the company can do something about, as `notices.reason` names them."""
    not_controllable: tuple[str, ...] = ()
    """Reasons that it cannot."""
    functions: dict[str, str] = Field(default_factory=_functions)
    """The function of the company that can do something about the drivers of each family."""

    @model_validator(mode="after")
    def _check_reasons(self) -> "RetentionSettings":
        listed = [reason.strip().casefold() for reason in (*self.controllable, *self.not_controllable)]
        if len(listed) != len(set(listed)):
            raise ValueError("a reason is listed twice")
        return self


class ServingSettings(Section):
    """How risks are served."""

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: Annotated[int, Field(ge=1, le=65535)] = 3000
    """The port to listen on."""
    workers: Annotated[int, Field(ge=1)] = 1
    """Processes that answer requests."""
    stale_after_days: Days = 3
    """Signals older than this make a risk `stale`."""
    stale_after_days_by_family: dict[str, Days] = {}
    """Limits of single families."""
    max_accounts_per_request: Annotated[int, Field(ge=1)] = 10_000
    """The most accounts in one request."""
    max_accounts_in_flight: Annotated[int, Field(ge=1)] = 20_000
    """The accounts of all requests that a worker computes at a time; more are refused at once with 503."""
    request_timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 5.0
    """A request that takes longer is refused with 503, and what it would have returned is not recorded."""
    max_body_bytes: Annotated[int, Field(ge=1_000)] = 1_000_000
    """The largest body of a request."""
    max_head_bytes: Annotated[int, Field(ge=1_000)] = 32_000
    """The largest line and headers of a request."""
    max_connections: Annotated[int, Field(ge=1)] = 1_000
    """The open connections of a worker; beyond, the one that has waited longest without a request is closed."""
    head_timeout_seconds: Annotated[float, Field(gt=0)] = 10.0
    """The line and headers of a request arrive within it, or the connection is closed."""
    idle_timeout_seconds: Annotated[float, Field(gt=0)] = 5.0
    """A connection without a request is kept this long; behind a load balancer, longer than it keeps its own."""
    response_timeout_seconds: Annotated[float, Field(gt=0)] = 60.0
    """A client that has not taken a response within it is disconnected."""
    poll_seconds: Annotated[float, Field(gt=0)] = 2.0
    """How often a worker looks for a new champion."""
    idempotency_hours: Annotated[float, Field(gt=0)] = 24.0
    """How long the response to a request with an idempotency key is kept."""
    idempotency_max_bytes: Annotated[int, Field(ge=0)] = 256_000_000
    """How many bytes of such responses are kept; the oldest are removed first."""
    keep_denied_days: Days = 90
    """How long the audit keeps denied requests. What people did is kept for ever."""

    def max_signal_age_days(self, family: str) -> int:
        """How old the signals of a family may be before a risk is stale."""
        return self.stale_after_days_by_family.get(family, self.stale_after_days)


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


class EndpointSettings(Section):
    """Where events are sent."""

    url: Annotated[str, AfterValidator(require_safe_address)]
    """The address; https, except on this machine, and without a password."""
    secret_env: str
    """The environment variable that holds the secret that events are signed with."""


class WebhookSettings(Section):
    """Which events are sent, where, and how often at most."""

    endpoints: dict[str, EndpointSettings] = {}
    """Endpoints by name."""
    hysteresis: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """An account leaves a band only when its risk falls this share below the threshold."""
    persistence_days: Annotated[int, Field(ge=1)] = 1
    """A change is reported after it has lasted this many days."""
    dedupe_days: Days = 7
    """The same change is not repeated within these days."""
    driver_points: Share = 0.02
    """A family becomes a driver from this many points on."""
    renewal_days: Days = 60
    """Renewals are reported this long before."""
    renewal_band: Band = "high"
    """They are reported from this band on."""
    budget_per_owner: Annotated[int, Field(ge=1)] = 10
    """The most events per owner and day; those with most revenue at risk are sent."""
    max_attempts: Annotated[int, Field(ge=1)] = 8
    """Attempts before a delivery is a dead letter."""


class ExcludedDays(Section):
    """Days that nothing is learned from, because their signals were broken."""

    since: date
    """The first day."""
    until: date
    """The last day."""

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.until < self.since:
            raise ValueError(f"until, {self.until}, is before since, {self.since}")
        return self


class MonitoringSettings(Section):
    """When the health of the model is questioned."""

    false_alarms_per_year: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """False alarms of drift, outcomes and plays together that you accept in a year."""
    exclude: tuple[ExcludedDays, ...] = ()
    """Published days that training and recalibration leave out, such as those on which a source was broken."""

    def is_excluded(self, day: date) -> bool:
        """Whether nothing is learned from a day."""
        return any(days.since <= day <= days.until for days in self.exclude)


class DailyExportSettings(Section):
    """Where the daily job writes the risks of all accounts to."""

    output: Annotated[str, Field(min_length=1)]
    """A .parquet or .csv file, or postgresql://user@host/database/table with the password in PGPASSWORD."""
    field_map: Path | None = None
    """A TOML file with the field names of another tool."""
    drivers: Annotated[int, Field(ge=0)] = 3
    """How many drivers to name in each direction."""


class DailySettings(Section):
    """What `oarlock run daily` does beside validating, publishing, scoring and monitoring."""

    exports: tuple[DailyExportSettings, ...] = ()
    """Where the risks of all accounts are written to, each day anew."""
    metrics: Path | None = None
    """The file for the metrics of the job, such as one in node_exporter's folder. Undeclared: in the state folder."""


class Settings(BaseSettings):
    """Everything that a company decides, in one frozen value."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
    )

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    """The name of the model and of its state folder; the name of the settings file by default."""
    topology: Topology = "embedded"
    """Where everything runs; the settings of `configs/topologies` are its defaults. All but embedded need servers."""
    state: Path = Path(".oarlock")
    """The folder that holds everything Oarlock writes."""
    data: DataSettings
    engine: EngineSettings = EngineSettings()
    quality: QualitySettings = QualitySettings()
    signals: SignalSettings = SignalSettings()
    snapshots: SnapshotSettings = SnapshotSettings()
    label: LabelSettings = LabelSettings()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    comparison: ComparisonSettings = ComparisonSettings()
    stability: StabilitySettings = StabilitySettings()
    health_score: HealthScoreSettings = HealthScoreSettings()
    leakage: LeakageSettings = LeakageSettings()
    bands: BandSettings = BandSettings()
    stages: StageSettings = StageSettings()
    playbook: Path = Path(__file__).with_name("playbook.toml")
    """The file with the plays."""
    health_parts: Path = Path(__file__).with_name("health_score.toml")
    """The file with the parts of `oarlock health-score`, weighted by hand."""
    work_list: WorkListSettings = WorkListSettings()
    retention: RetentionSettings = RetentionSettings()
    serving: ServingSettings = ServingSettings()
    ledger: LedgerSettings = LedgerSettings()
    stores: StoreSettings = StoreSettings()
    webhooks: WebhookSettings = WebhookSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    daily: DailySettings = DailySettings()

    @model_validator(mode="after")
    def _check_servers(self) -> Self:
        """Several machines that each have a file of their own would lose keys, feedback and risks of each other."""
        missing = [name for name, url in self._server_urls().items() if url is None]
        if self.topology != "embedded" and missing:
            variable = ENVIRONMENT_PREFIX + missing[0].replace(".", "__").upper()
            raise ValueError(f"the topology '{self.topology}' needs {missing[0]}; set {variable}")
        return self

    def _server_urls(self) -> dict[str, SecretStr | None]:
        stores = {f"stores.{name}": getattr(self.stores, name) for name in ("online", "feast_registry", "mlflow")}
        return {"ledger.url": self.ledger.url, **stores}

    @model_validator(mode="after")
    def _check_functions(self) -> Self:
        unknown = self.retention.functions.keys() - {*get_args(Family), *self.signals.families}
        if unknown:
            raise ValueError(f"retention.functions: there is no family '{min(unknown)}'")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings


def read_settings(path: Path) -> Settings:
    """The settings in the file at `path`, overridden by the environment.

    Raises ConfigError if the file is missing, cannot be read, or holds an unknown or invalid setting.
    """
    content = {"name": path.stem, **_read_toml(path)}
    _refuse_unknown_overrides(os.environ)
    try:
        return _with_copies(Settings(**_with_topology(_resolve_paths(content, path.resolve().parent))))
    except ValidationError as error:
        variable = _environment_variable(error)
        if variable in os.environ:
            message = f"{variable} in the environment cannot be used: {describe_validation_error(error)}."
            raise ConfigError(message, "Unset it or change its value.") from None
        hint = "Compare with configs/oarlock.toml and the settings reference."
        raise ConfigError(f"{path}: {describe_validation_error(error)}.", hint) from None


def describe_validation_error(error: ValidationError) -> str:
    """A validation error in one clause: the first invalid field, what is wrong with it, and how many more there are."""
    first, *others = error.errors()
    field = ".".join(str(part) for part in first["loc"])
    # Pydantic's description of its own validation step helps nobody.
    reason = first["msg"].removeprefix("Value error, ").removesuffix(" after validation, not 0")
    reason = f"{reason[:1].lower()}{reason[1:]}"
    clause = f"{field}: {reason}" if field else reason
    if first["type"] == "extra_forbidden":
        clause = f"{field} is not known"
    return f"{clause} (and {len(others)} more)" if others else clause


def _environment_variable(error: ValidationError) -> str:
    """The environment variable that would override the first invalid setting."""
    return ENVIRONMENT_PREFIX + "__".join(str(part) for part in error.errors()[0]["loc"]).upper()


def _read_toml(path: Path) -> JsonObject:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"There is no settings file {path}.", "Pass its path with --config.") from None
    except OSError as error:
        hint = "Pass the path of a settings file with --config."
        raise ConfigError(f"Cannot read {path}: {error.strerror}.", hint) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.", "Fix that line.") from None


def _resolve_paths(content: JsonObject, folder: Path) -> JsonObject:
    """The content of a settings file with its relative paths taken from `folder`."""
    data = dict(content.get("data", {}))
    for key in {"dataset", "folder", "copies"} & data.keys():
        data[key] = folder / data[key]
    files = {name: folder / content[name] for name in ("playbook", "health_parts") if name in content}
    signals = dict(content.get("signals", {}))
    if isinstance(signals.get("modules"), list):
        signals["modules"] = [folder / str(name) for name in signals["modules"]]
    daily = {"daily": _resolve_daily(content["daily"], folder)} if isinstance(content.get("daily"), dict) else {}
    stores = {"stores": _resolve_stores(content["stores"], folder)} if isinstance(content.get("stores"), dict) else {}
    state = folder / content.get("state", ".oarlock")
    return {**content, **files, **daily, **stores, "signals": signals, "data": data, "state": state}


def _resolve_stores(stores: JsonObject, folder: Path) -> JsonObject:
    return {**stores, "history": folder / stores["history"]} if "history" in stores else stores


def _resolve_daily(daily: JsonObject, folder: Path) -> JsonObject:
    metrics = {"metrics": folder / daily["metrics"]} if "metrics" in daily else {}
    exports: object = daily.get("exports", [])
    if isinstance(exports, list):
        exports = [_resolve_export(export, folder) for export in cast(list[object], exports)]
    return {**daily, **metrics, "exports": exports}


def _resolve_export(value: object, folder: Path) -> object:
    if not isinstance(value, dict):
        return value
    export = cast(JsonObject, value)
    output = str(export.get("output", ""))
    files = {"output": str(folder / output)} if output and "://" not in output else {}
    field_map = {"field_map": folder / export["field_map"]} if "field_map" in export else {}
    return {**export, **files, **field_map}


def _with_topology(content: JsonObject) -> JsonObject:
    """The content of a settings file over the settings of its topology, which the environment may name."""
    name = os.environ.get(f"{ENVIRONMENT_PREFIX}TOPOLOGY", content.get("topology", "embedded"))
    if name not in get_args(Topology):
        return content  # refused with the other settings
    defaults = _read_toml(TOPOLOGIES / f"{name}.toml")
    sections = {key: {**section, **content.get(key, {})} for key, section in defaults.items()}
    return {**content, **sections}


def _with_copies(settings: Settings) -> Settings:
    """The settings with the folder for copies of databases."""
    copies = settings.data.copies or settings.state.resolve() / settings.name / "copies"
    return settings.model_copy(update={"data": settings.data.model_copy(update={"copies": copies})})


def _refuse_unknown_overrides(environment: Iterable[str]) -> None:
    sections = {name.upper() for name in Settings.model_fields} | {
        "CONFIG",
        "SUPERVISOR",
        "OUTSIDE_DATA",
        "TEST_POSTGRES",
        "TEST_REDIS",
    }
    for variable in environment:
        section = variable.removeprefix(ENVIRONMENT_PREFIX).split("__")[0]
        if variable.startswith(ENVIRONMENT_PREFIX) and section not in sections:
            raise ConfigError(f"{variable} in the environment overrides no known setting.", "Unset or rename it.")
