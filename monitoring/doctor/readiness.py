"""The readiness level: how far a configuration is on its way from raw tables to risks that are watched every day."""

from collections.abc import Collection
from dataclasses import dataclass

# Each level with the check that must not be a fault or missing, and the command that reaches it.
LEVELS = (
    ("the raw tables are valid", "sources", "oarlock validate"),
    ("a day is published", "history", "oarlock publish"),
    ("a model is trained", "mlflow", "oarlock train"),
    ("a model is promoted", "champion", "oarlock promote"),
    ("risks are served", "served", "oarlock score --all"),
    ("what is served is monitored", "monitoring", "oarlock monitor"),
    ("all of it runs every day", "daily job", "oarlock run daily"),
)


@dataclass(frozen=True)
class Readiness:
    """The level, out of `highest`, what it means, and the command that reaches the next one (empty at the top)."""

    level: int
    highest: int
    meaning: str
    next_step: str


def measure_readiness(reached: Collection[str]) -> Readiness:
    """The level up to which the check of every level is among those that were `reached`."""
    level, meaning = 0, "the settings can be read"
    for description, check, command in LEVELS:
        if check not in reached:
            return Readiness(level, len(LEVELS), meaning, command)
        level, meaning = level + 1, description
    return Readiness(level, len(LEVELS), meaning, "")
