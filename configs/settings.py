"""The settings: one TOML file, read once into frozen values that refuse what they do not know.

`OARLOCK_<SECTION>__<KEY>` in the environment overrides the file, e.g. `OARLOCK_LABEL__HORIZON_DAYS=90`.
A relative path in the file is taken from the file's folder, one in the environment from the current folder.
"""

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from configs.errors import ConfigError

Days = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(gt=0)]
LabelMode = Literal["contract", "inactivity", "event", "contraction"]
ENVIRONMENT_PREFIX = "OARLOCK_"


class Section(BaseModel):
    """A part of the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DataSettings(Section):
    """Where the raw tables come from, and what happens to rows outside the contract."""

    dataset: Path
    folder: Path | None = None
    on_invalid_rows: Literal["error", "quarantine"] = "error"


class EngineSettings(Section):
    """Where the signals are computed: DuckDB in this process, or Spark for data that outgrows one machine."""

    kind: Literal["duckdb", "spark"] = "duckdb"
    threads: Annotated[int, Field(ge=1)] | None = None
    # Beyond it DuckDB goes on on disk: 100,000 accounts take no longer for it, and leave the machine its memory.
    memory_limit: str = "4GB"
    master: str = "local[*]"
    options: dict[str, str] = {}

    @model_validator(mode="after")
    def _suits_its_kind(self) -> "EngineSettings":
        foreign = {"duckdb": ("master", "options"), "spark": ("threads", "memory_limit")}[self.kind]
        unused = [name for name in foreign if name in self.model_fields_set]
        if unused:
            raise ValueError(f"{unused[0]} has no effect with kind = '{self.kind}'")
        return self


class QualitySettings(Section):
    """When a day's rows are refused. Each threshold lets pass what healthy companies do in a bad month."""

    # Half a year of monthly snapshots, or a week of daily ones.
    compared_days: Annotated[int, Field(ge=1)] = 6
    # Few companies lose a third of their accounts, or win half as many again, between two days they look at.
    min_snapshot_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.7
    max_snapshot_ratio: Annotated[float, Field(gt=1)] = 1.5
    # A signal is missing for more accounts when a window empties over a holiday, but not for a fifth of all.
    max_missing_increase: Share = 0.2
    # Past windows a source is held against: two months of weeks, half a year of four weeks.
    compared_windows: Annotated[int, Field(ge=2)] = 6
    # The quietest week of a year (the last) keeps more than a quarter of the quietest before it.
    min_row_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.25
    # Rows that are delivered twice are double; growth is not, against the busiest window of the past.
    max_row_ratio: Annotated[float, Field(gt=1)] = 1.8
    # Below this many rows a window, chance alone stops or doubles a source.
    min_rows_to_check: Annotated[int, Field(ge=1)] = 50


class SnapshotSettings(Section):
    """How often accounts are looked at for training."""

    frequency: Literal["monthly", "weekly"] = "monthly"
    warmup_days: Days = 28


class LabelSettings(Section):
    """What counts as churn, by mode.

    contract: no subscription from a day in the horizon on, and none again within the grace.
    event: a notice given in the horizon.
    inactivity: `inactive_days` without usage inside the horizon, of accounts active within `active_within_days`.
    contraction: recurring revenue down by `contraction_share` or more, but not gone.

    `horizon_days` is the main horizon: what a model is fitted and judged on. Risks are given for all `horizons` too.
    """

    mode: LabelMode = "contract"
    lead_days: Days = 0
    horizon_days: Annotated[int, Field(ge=1)] = 90
    horizons: tuple[Annotated[int, Field(ge=1)], ...] = (30, 90, 180)
    grace_days: Days = 30
    inactive_days: Annotated[int, Field(ge=1)] = 90
    active_within_days: Annotated[int, Field(ge=1)] = 180
    contraction_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    # An account whose paid term runs past the horizon: where it could not leave, it tells nothing by having stayed. But
    # a model that has seen none can only guess the risks of accounts in the middle of a term, so by default they count.
    # "auto" lets them count only where one was seen to leave in the horizon, so that terms can be broken.
    locked_in_accounts: Literal["keep", "auto", "exclude"] = "keep"

    @property
    def answers_from(self) -> frozenset[str]:
        """The optional tables that hold the answer itself: what they say is no signal."""
        return frozenset({"notices"}) if self.mode == "event" else frozenset()

    @property
    def active_within(self) -> int | None:
        """How recently an account must have been active to be at risk; None where a running subscription decides."""
        return self.active_within_days if self.mode == "inactivity" else None

    @model_validator(mode="after")
    def _fits(self) -> "LabelSettings":
        if self.mode == "inactivity" and self.inactive_days > self.horizon_days:
            raise ValueError("inactive_days must fit inside horizon_days")
        return self


class TrainingSettings(Section):
    """How a model is fitted; the same settings, data and seed give the same model to the byte.

    `num_iterations` is the most that are grown: how many are kept is decided by the calibration days.
    """

    seed: int = 7
    threads: Annotated[int, Field(ge=1)] = 2
    num_iterations: Annotated[int, Field(ge=1)] = 600
    num_leaves: Annotated[int, Field(ge=2)] = 4
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.03
    # Small enough to set apart the few who gave notice.
    min_data_in_leaf: Annotated[int, Field(ge=1)] = 20
    # How far the line beside the trees is expected to move the log-odds of accounts; 0 is no line.
    linear_prior_sd: Annotated[float, Field(ge=0)] = 1.0
    feature_fraction: Annotated[float, Field(gt=0, le=1)] = 0.4
    bagging_fraction: Annotated[float, Field(gt=0, le=1)] = 0.7
    lambda_l2: Annotated[float, Field(ge=0)] = 1.0
    path_smooth: Annotated[float, Field(ge=0)] = 0.0
    calibration_snapshots: Annotated[int, Field(ge=1)] = 3
    test_snapshots: Annotated[int, Field(ge=1)] = 1
    min_churned: Annotated[int, Field(ge=2)] = 20
    # A segment's risks are shifted by a calibration of its own from this many churned, and stayed, on.
    min_churned_per_segment: Annotated[int, Field(ge=2)] = 100
    # How far the log-odds of segments are expected to lie apart where the model knows the segment already.
    segment_prior_sd: Amount = 0.2
    # How much further the log-odds of leaving are expected to drift than the newest answers tell.
    drift_prior_sd: Amount = 0.1


class ProfitSettings(Section):
    """What keeping an account is worth: the defaults are those of Verbraken, Verbeke & Baesens (2013).

    An account that would leave and is made the offer stays with a probability drawn from Beta(`alpha`, `beta`).
    """

    lifetime_value: Amount = 200.0
    offer_cost: Annotated[float, Field(ge=0)] = 10.0
    contact_cost: Annotated[float, Field(ge=0)] = 1.0
    alpha: Amount = 6.0
    beta: Amount = 14.0


class EvaluationSettings(Section):
    """How a model is judged: on `backtest_folds` test days `fold_spacing_days` apart (the horizon where that is left out).

    `capacity` is how many accounts the team can call from one day's list. `group_kfold` above 1 also judges risks of
    accounts that were kept out of the fit, at the cost of that many fits. A baseline is beaten where the paired
    interval at `confidence` lies on one side: 0.95 lets a model that is no better pass once in 40.
    """

    backtest_folds: Annotated[int, Field(ge=1)] = 3
    fold_spacing_days: Annotated[int, Field(ge=1)] | None = None
    group_kfold: Annotated[int, Field(ge=0)] = 0
    bootstrap_samples: Annotated[int, Field(ge=20)] = 200
    capacity: Annotated[int, Field(ge=1)] = 50
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    # Snapshots that each model without a family is fitted on at most; 0 leaves the ablation out.
    ablation_snapshots: Annotated[int, Field(ge=0)] = 20_000
    profit: ProfitSettings = ProfitSettings()


class ComparisonSettings(Section):
    """How much worse than the champion a challenger may be, at most; intervals are paired, at `evaluation.confidence`.

    `log_loss_margin` is a share of the champion's log loss, `segment_log_loss_margin` the same within a segment in which at least
    `min_churned` churned, `calibration_margin` a mean distance of risk and rate. `max_flip_share` is the share of the
    accounts worth a call whose main family may be another one.
    """

    log_loss_margin: Share = 0.02
    segment_log_loss_margin: Share = 0.05
    calibration_margin: Share = 0.01
    min_churned: Annotated[int, Field(ge=1)] = 50
    max_flip_share: Share = 0.5


class StabilitySettings(Section):
    """How it is measured whether the family that raises a risk most stays the same when the model is made again.

    The model is made again `refits` times on resampled accounts. A main reason is said only where the first family
    leads the second by so much that it stays in a share of `min_agreement`. A refit learns from `max_snapshots` at most.
    """

    refits: Annotated[int, Field(ge=2)] = 5
    max_snapshots: Annotated[int, Field(ge=1_000)] = 50_000
    min_agreement: Annotated[float, Field(gt=0.5, lt=1)] = 0.9


class HealthScoreSettings(Section):
    """A score weighted by hand, as a baseline: a weight per signal, positive where a high value is healthy."""

    weights: dict[str, float] = {}


class LeakageSettings(Section):
    """From when a model is suspected of knowing the answer: AUC of one signal alone, its fall with the lead."""

    max_signal_auc: Annotated[float, Field(gt=0.5, le=1)] = 0.9
    lead_days: tuple[Days, ...] = (0, 7, 14, 30)
    max_auc_drop: Share = 0.1


class BandSettings(Section):
    """From which risk on an account is watch, high or critical."""

    watch: Share = 0.05
    high: Share = 0.10
    critical: Share = 0.20

    @model_validator(mode="after")
    def _rises(self) -> "BandSettings":
        if not self.watch < self.high < self.critical:
            raise ValueError("watch, high and critical must rise in this order")
        return self


class StageSettings(Section):
    """Where an account stands in its life: onboarding at first, renewing before the end of a term, else established."""

    onboarding_days: Days = 90
    renewing_days: Days = 90
    # A term that is shorter renews all the time: its end is no occasion.
    shortest_term_months: Annotated[float, Field(ge=0)] = 4.0


class WorkListSettings(Section):
    """Whom to call: at most `per_owner` accounts for each owner, none that was contacted recently.

    Keeping an account is worth `revenue_months` of its revenue, with the odds and costs of `evaluation.profit`.
    """

    per_owner: Annotated[int, Field(ge=1)] = 10
    revenue_months: Annotated[float, Field(gt=0)] = 12.0
    touched_within_days: Days = 7


class ServingSettings(Section):
    """How risks are served; `stale_after_days_by_family` gives families a limit of their own."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 3000
    workers: Annotated[int, Field(ge=1)] = 1
    stale_after_days: Days = 3
    stale_after_days_by_family: dict[str, Days] = {}
    max_accounts_per_request: Annotated[int, Field(ge=1)] = 10_000
    max_body_bytes: Annotated[int, Field(ge=1_000)] = 1_000_000
    poll_seconds: Annotated[float, Field(gt=0)] = 2.0

    def fresh_days(self, family: str) -> int:
        """For how many days the signals of a family are fresh."""
        return self.stale_after_days_by_family.get(family, self.stale_after_days)


class LedgerSettings(Section):
    """Where the ledger is, and how far its database may fall behind the replies.

    `url` is SQLite in the state folder where it is left out. `durability`: a response survives a crash of its process
    ("process"), or of the machine too ("fsync"), for which every response waits for the disk.
    """

    url: SecretStr | None = None
    durability: Literal["process", "fsync"] = "process"
    # Some 100,000 risks with their drivers, for a database that is away for minutes.
    max_backlog_bytes: Annotated[int, Field(ge=1)] = 256_000_000
    backpressure_timeout_seconds: Annotated[float, Field(ge=0)] = 2.0


class EndpointSettings(Section):
    """Where events are sent; the secret they are signed with is in the environment, under the name given here."""

    url: Annotated[str, Field(pattern=r"^https?://")]
    secret_env: str

    @model_validator(mode="after")
    def _is_private(self) -> "EndpointSettings":
        if self.url.startswith("http://") and not re.match(r"http://(127(\.\d+){3}|localhost|\[::1\])[:/]", self.url):
            raise ValueError("url must be https, except on this machine")
        return self


class WebhookSettings(Section):
    """What is told, to whom, and how often at most.

    A band is left downwards only where the risk is `hysteresis` below its cut; a change is told once it held
    `persistence_days` days in a row, and the same one not again within `dedupe_days`. An owner is told
    `budget_per_owner` things a day, those with most revenue at risk.
    """

    endpoints: dict[str, EndpointSettings] = {}
    hysteresis: Annotated[float, Field(ge=0, lt=1)] = 0.2
    persistence_days: Annotated[int, Field(ge=1)] = 1
    dedupe_days: Days = 7
    driver_points: Share = 0.02
    renewal_days: Days = 60
    renewal_band: Literal["low", "watch", "high", "critical"] = "high"
    budget_per_owner: Annotated[int, Field(ge=1)] = 10
    max_attempts: Annotated[int, Field(ge=1)] = 8


class MonitoringSettings(Section):
    """When the health of the model is questioned."""

    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    min_mature: Annotated[int, Field(ge=1)] = 50


class Settings(BaseSettings):
    """Everything a company decides, in one frozen value."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter="__"
    )

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    state: Path = Path(".oarlock")
    data: DataSettings
    engine: EngineSettings = EngineSettings()
    quality: QualitySettings = QualitySettings()
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
    work_list: WorkListSettings = WorkListSettings()
    serving: ServingSettings = ServingSettings()
    ledger: LedgerSettings = LedgerSettings()
    webhooks: WebhookSettings = WebhookSettings()
    monitoring: MonitoringSettings = MonitoringSettings()

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
    """The settings in the file at `path`, with the environment's overrides.

    Raises ConfigError in one sentence where the file is missing, unreadable, or says something unknown.
    """
    content = {"name": path.stem, **_read_toml(path)}
    _refuse_unknown_overrides(os.environ)
    try:
        return Settings(**_paths_from(content, path.resolve().parent))
    except ValidationError as problem:
        variable = _variable(problem)
        if variable in os.environ:
            message = f"{variable} in the environment cannot be used: {describe(problem)}."
            raise ConfigError(message, "Unset or change it.") from None
        raise ConfigError(f"{path}: {describe(problem)}.", "Compare with configs/oarlock.toml.") from None


def describe(problem: ValidationError) -> str:
    """A validation error in one clause: where, what, and how many more."""
    first, *others = problem.errors()
    where = ".".join(str(part) for part in first["loc"])
    # What pydantic says of the step that it found a fault in, people need not know.
    said = first["msg"].removeprefix("Value error, ").removesuffix(" after validation, not 0")
    what = f"{where} is not known" if first["type"] == "extra_forbidden" else f"{said[:1].lower()}{said[1:]}"
    told = f"{where}: {what}" if where and first["type"] != "extra_forbidden" else what
    return f"{told} (and {len(others)} more)" if others else told


def _variable(problem: ValidationError) -> str:
    """The variable that would override the setting found wrong."""
    return ENVIRONMENT_PREFIX + "__".join(str(part) for part in problem.errors()[0]["loc"]).upper()


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"There is no settings file {path}.", "Name one with --config.") from None
    except OSError as problem:
        raise ConfigError(f"{path} cannot be read: {problem.strerror}.", "Name a settings file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{path} is not valid TOML: {problem}.", "Mend that line.") from None


def _paths_from(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    data = dict(content.get("data", {}))
    for key in {"dataset", "folder"} & data.keys():
        data[key] = folder / data[key]
    own = {"playbook": folder / content["playbook"]} if "playbook" in content else {}
    return {**content, **own, "data": data, "state": folder / content.get("state", ".oarlock")}


def _refuse_unknown_overrides(environment: os._Environ[str]) -> None:
    known = {name.upper() for name in Settings.model_fields} | {"CONFIG", "OUTSIDE_DATA", "TEST_POSTGRES"}
    for variable in environment:
        section = variable.removeprefix(ENVIRONMENT_PREFIX).split("__")[0]
        if variable.startswith(ENVIRONMENT_PREFIX) and section not in known:
            raise ConfigError(f"{variable} in the environment overrides no known setting.", "Unset or rename it.")
