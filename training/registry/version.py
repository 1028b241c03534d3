"""A registered model version, by name and number, and the alias of the champion."""

from dataclasses import dataclass

CHAMPION = "champion"


@dataclass(frozen=True)
class Version:
    """One registered model: its number, its run, and the alias it holds."""

    name: str
    number: int
    run_id: str
    alias: str | None
