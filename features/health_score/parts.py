"""The parts of the health score, as a company weights them by hand in a file."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from configs.errors import ConfigError
from configs.sections.signals import SignalName
from configs.validation import TomlFormat
from features.signals.base import Signal

PARTS_FILE = TomlFormat(
    name="file",
    if_missing="Set health_parts to a file with the parts.",
    if_invalid="configs/health_score.toml says what a part has.",
)
MAX_FAMILY_SHARE = 0.5
Number = Annotated[float, Field(allow_inf_nan=False)]


class HealthPart(BaseModel):
    """One part: nothing at the `worst` value of a signal, its whole weight at the `best`, a straight line between."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: SignalName
    label: Annotated[str, Field(min_length=1)]
    signal: str
    worst: Number
    best: Number
    weight: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]

    @model_validator(mode="after")
    def _check_ends(self) -> Self:
        if self.worst == self.best:
            raise ValueError(f"part '{self.name}': worst and best are the same value")
        return self

    def share_of(self, value: float) -> float:
        """How good a value is, 0 to 1.

        >>> part = HealthPart(name="nps", label="NPS", signal="last_nps", worst=3, best=9, weight=10)
        >>> part.share_of(6), part.share_of(10), part.share_of(0)
        (0.5, 1.0, 0.0)
        """
        return min(1.0, max(0.0, (value - self.worst) / (self.best - self.worst)))


class HealthParts(BaseModel):
    """The parts, and how much of their weight has to be known of an account."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least_weight: Annotated[float, Field(gt=0, le=100)] = 40
    part: Annotated[tuple[HealthPart, ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        repeated = [name for name, count in Counter(part.name for part in self.part).items() if count > 1]
        if repeated:
            raise ValueError(f"there are two parts '{repeated[0]}'")
        return self


def read_health_parts(path: Path, signals: Mapping[str, Signal]) -> HealthParts:
    """The parts in a file, for the signals of a company.

    Raises ConfigError for a file that cannot be used, and for a family with more than half of the weight.
    """
    parts = PARTS_FILE.read(path, HealthParts)
    _check_signals(path, parts, signals)
    return parts


def _check_signals(path: Path, parts: HealthParts, signals: Mapping[str, Signal]) -> None:
    weights: dict[str, float] = {}
    for part in parts.part:
        if part.signal not in signals or signals[part.signal].kind != "number":
            message = f"{path}: part '{part.name}' reads '{part.signal}', which is no numeric signal."
            raise ConfigError(message, "`oarlock signals` lists them.")
        family = signals[part.signal].family
        weights[family] = weights.get(family, 0.0) + part.weight
    family, heaviest = max(weights.items(), key=lambda item: item[1])
    if heaviest > MAX_FAMILY_SHARE * sum(weights.values()):
        share = heaviest / sum(weights.values())
        message = f"{path}: signals of the family '{family}' have {share:.0%} of the weight, which is more than half."
        raise ConfigError(message, "Add parts of other families: one kind of input says little about who leaves.")
