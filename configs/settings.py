"""Every setting in one frozen value; an unknown setting is an error."""

from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from configs.sections.accounts import RetentionSettings, StageSettings, WorkListSettings
from configs.sections.bands import BandSettings
from configs.sections.evaluation import ComparisonSettings, EvaluationSettings
from configs.sections.label import LabelSettings
from configs.sections.monitoring import DailySettings, MonitoringSettings, WebhookSettings
from configs.sections.publishing import DataSettings, EngineSettings, QualitySettings, SnapshotSettings
from configs.sections.serving import ServingSettings
from configs.sections.signals import Family, SignalSettings
from configs.sections.stores import LedgerSettings, StoreSettings
from configs.sections.training import HealthScoreSettings, LeakageSettings, StabilitySettings, TrainingSettings

ENVIRONMENT_PREFIX = "OARLOCK_"
Topology = Literal["embedded", "standard", "large"]


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
