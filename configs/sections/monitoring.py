"""What follows from the risks of a day: events, the questions of monitoring, and the daily job."""

from datetime import date
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from configs.sections.bands import Band
from configs.sections.section import Days, Section, Share
from configs.values.addresses import require_safe_address


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
    """False alarms of sources, drift, outcomes and plays together that you accept in a year."""
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
