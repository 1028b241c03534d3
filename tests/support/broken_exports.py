"""A small company with trained models, a champion and served risks, whose next export breaks in many ways."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from features.own_signals.generated_tables import AS_OF
from features.tables.subscriptions.at_risk import PERIOD_COLUMNS
from tests.support.broken_tables import (
    INVALID_ROWS,
    OBSERVED_UNTIL,
    TrialSettings,
    break_tables,
    write_mapping,
    write_settings,
    write_tables,
)
from tests.support.companies.random_companies import Company, random_company
from tests.support.trained_model import copy_folder

SOUND_SEED, ACCOUNTS = 1, 60
FIRST_DAY, LAST_DAY = "2024-04-30", "2024-06-25"
TWO_TESTS = "calibration_snapshots = 2\ntest_snapshots = 2"  # few days, so that a model is fitted in seconds
PREPARE = (
    ("publish", "--as-of", FIRST_DAY, "--force", "--reason", "a test"),
    ("train",),
    ("promote", "--force", "--reason", "a test"),
    ("score", "--all", "--json"),
    ("publish", "--as-of", LAST_DAY, "--force", "--reason", "a test"),
    ("set-bands", "--thresholds", "0.1", "0.2", "0.3"),
    ("promote", "--force", "--reason", "a test"),
    ("train",),
    ("score", "--all", "--json"),
)
FORCED = ("--force", "--reason", "a test")
READS = (
    ("validate",),
    ("validate", "--online-store", "--json"),
    ("score", "--all", "--json"),
    ("score", "--all", "--output", "{folder}/scores.csv"),
    ("score", "A3", "--as-of", "2024-04-01"),
    ("explain", "A3"),
    ("explain", "A3", "--as-of", "2024-03-01", "--json"),
    ("signals", "--json"),
    ("models", "list"),
    ("model-card", "1", "--html", "{folder}/card.html"),
    ("report", "account", "A3", "--html", "{folder}/account.html"),
    ("report", "portfolio", "--html", "{folder}/portfolio.html"),
    ("report", "retention", "--html", "{folder}/retention.html"),
    ("report", "outcomes", "--html", "{folder}/outcomes.html"),
    ("report", "monitoring", "--html", "{folder}/monitoring.html"),
    ("monitor",),
    ("monitor", "--json"),
    ("export-outcomes", "--output", "{folder}/notices.parquet"),
)
WRITES = (
    ("publish",),
    ("publish", *FORCED),
    ("publish", "--backfill-from", "2024-04-01", *FORCED),
    ("publish", "--as-of", "2024-06-10", "--online"),
    ("erase", "A0"),
    ("erase", "stranger"),
    ("ledger", "prune", "--keep-days", "30"),
    ("history", "prune", "--keep-days", "30"),
    ("promote", "1", *FORCED),
    ("promote", "3", *FORCED),
    ("rollback",),
    ("webhooks", "send"),
)
FITS = (
    ("train",),
    ("compare",),
    ("compare", "1", "--with", "3"),
    ("recalibrate",),
    ("recalibrate", "1"),
    ("reproduce", "3"),
    ("set-bands", "--sizes", "8", "4", "2"),
    ("monitor", "--act"),
)
Command = tuple[str, ...]


def sound_company() -> Company:
    """Tables that keep to the contract; of each three accounts two leave, one every nine days or so."""
    company = random_company(SOUND_SEED, accounts=ACCOUNTS)
    terms = company["subscriptions"][0] | dict.fromkeys(PERIOD_COLUMNS)
    company["subscriptions"] = [
        {**terms, "account_id": account, "subscription_id": account, **_term(number), "recorded_at": None}
        for number, account in enumerate(row["account_id"] for row in company["accounts"])
    ]
    return company


def _term(number: int) -> dict[str, datetime | None]:
    ended = None if number % 3 == 0 else AS_OF + timedelta(days=6 * (number - ACCOUNTS + 10))
    return {"started_at": AS_OF - timedelta(days=500), "ended_at": ended}


def create_trained_company(folder: Path, run: Callable[..., object]) -> None:
    """Write the sound tables into a new folder, publish, train twice, promote and score; `run` runs a command."""
    folder.mkdir()
    write_settings(folder, _settings("error"))
    write_sound_export(folder)
    for command in PREPARE:
        run(*command)


def write_sound_export(folder: Path) -> None:
    """Write the tables as they were when the models were trained."""
    write_mapping(folder, write_tables(sound_company(), folder), OBSERVED_UNTIL)


def break_export(seed: int, trained: Path, folder: Path) -> Path:
    """Copy a trained company, and break its export in the ways of this seed; gives the path of its settings."""
    choose = random.Random(seed)
    copy_folder(trained, folder)
    settings = write_settings(folder, _settings(choose.choice(INVALID_ROWS)))
    company = sound_company()
    if choose.random() < 0.15:
        del company[choose.choice(list(company))]
    write_mapping(folder, break_tables(choose, company, folder), choose.choice([OBSERVED_UNTIL] * 3 + [""]))
    return settings


def choose_commands(seed: int) -> list[Command]:
    """Commands in an order of this seed: some that read, some that write, and one that fits a model."""
    choose = random.Random(seed)
    chosen = [*choose.sample(READS, 4), *choose.sample(WRITES, 3), *choose.sample(FITS, 1)]
    return choose.sample(chosen, len(chosen))


def _settings(on_invalid_rows: str) -> TrialSettings:
    return TrialSettings(on_invalid_rows, horizon_days=30, training=TWO_TESTS)
