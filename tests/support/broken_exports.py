"""A small company with trained models, a champion and served risks, whose next export breaks in many ways."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from tests.support.broken_tables import break_tables, write_tables
from tests.support.companies.random_companies import AS_OF, Company, random_company
from tests.support.trained_model import copy_folder

SOUND_SEED, ACCOUNTS = 1, 60
FIRST_DAY, LAST_DAY = "2024-04-30", "2024-06-25"
SETTINGS = """state = "state"
[data]
dataset = "company.toml"
on_invalid_rows = "{on_invalid_rows}"
[label]
horizon_days = 30
inactive_days = 60
grace_days = 0
[training]
min_churned = 2
num_iterations = 5
calibration_snapshots = 2
test_snapshots = 2
[snapshots]
warmup_days = 260
[evaluation]
backtest_folds = 1
bootstrap_samples = 20
ablation_snapshots = 0
[stability]
refits = 2
[engine]
threads = 1
"""
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
    terms = company["subscriptions"][0]
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
    (folder / "oarlock.toml").write_text(SETTINGS.format(on_invalid_rows="error"))
    write_sound_export(folder)
    for command in PREPARE:
        run(*command)


def write_sound_export(folder: Path) -> None:
    """Write the tables as they were when the models were trained."""
    _write_mapping(folder, write_tables(sound_company(), folder), f"observed_until = {_end()}")


def break_export(seed: int, trained: Path, folder: Path) -> Path:
    """Copy a trained company, and break its export in the ways of this seed; gives the path of its settings."""
    choose = random.Random(seed)
    copy_folder(trained, folder)
    mode = choose.choice(["error", "quarantine", "quarantine"])
    (folder / "oarlock.toml").write_text(SETTINGS.format(on_invalid_rows=mode))
    company = sound_company()
    if choose.random() < 0.15:
        del company[choose.choice(list(company))]
    _write_mapping(
        folder, break_tables(choose, company, folder), choose.choice([f"observed_until = {_end()}"] * 3 + [""])
    )
    return folder / "oarlock.toml"


def choose_commands(seed: int) -> list[Command]:
    """Commands in an order of this seed: some that read, some that write, and one that fits a model."""
    choose = random.Random(seed)
    chosen = [*choose.sample(READS, 4), *choose.sample(WRITES, 3), *choose.sample(FITS, 1)]
    return choose.sample(chosen, len(chosen))


def _end() -> str:
    return f"{AS_OF + timedelta(days=45):%Y-%m-%d}T00:00:00Z"


def _write_mapping(folder: Path, sources: str, until: str) -> None:
    (folder / "company.toml").write_text(f'name = "company"\n{until}\n[sources]\n{sources}')
