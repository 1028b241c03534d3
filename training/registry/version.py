"""A registered model version, and the alias of the champion."""

from dataclasses import dataclass

CHAMPION = "champion"


@dataclass(frozen=True)
class Version:
    """One registered model: the name of the model, the number of the version, its run, and its alias."""

    name: str
    number: int
    run_id: str
    alias: str | None
