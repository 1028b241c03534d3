"""Whatever the raw tables hold, every command works, or ends in one sentence with a documented exit code.

COMPANY_TRIALS and EXPORT_TRIALS are how many companies, and exports of a company with models, the slow tests try;
EXPORT_START is the first seed of these.
"""

import math
import os
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from docs.generate.errors import EXIT_CODES
from monitoring.verdicts.verdict import EXIT_CODES as MONITOR_CODES
from tests.support.broken_exports import (
    FORCED,
    break_export,
    choose_commands,
    create_trained_company,
    write_sound_export,
)
from tests.support.broken_tables import write_broken_company
from tests.support.paths import ROOT
from tests.support.published_state import find_leftovers, read_published
from tests.support.trained_model import TrainedModel, copy_folder

DOCUMENTED = {int(code) for codes, _ in EXIT_CODES for code in codes.split(",")} - {1}
MANY = range(100, 100 + int(os.environ.get("COMPANY_TRIALS", "12")))
START = int(os.environ.get("EXPORT_START", "0"))
EXPORTS = range(START, START + int(os.environ.get("EXPORT_TRIALS", "3")))
COMMANDS = (
    ("validate",),
    ("validate", "--json"),
    ("publish", "--json"),
    ("train", "--json"),
    ("promote",),
    ("promote", "--force", "--reason", "a test"),
    ("score", "--all", "--json"),
    ("score", "--all"),
    ("score", "A0", "--as-of", "2024-03-01"),
    ("explain", "A0", "--json"),
    ("explain", "A0"),
    ("monitor", "--json"),
    ("monitor",),
    ("signals", "--json"),
)
AFTER_TRAINING = (
    ("publish", "--json"),
    ("score", "1096"),
    ("explain", "1096", "--json"),
    ("validate", "--json"),
    ("recalibrate",),
    ("report", "retention", "--html", "{folder}/retention.html"),
    ("rollback",),
    ("erase", "nobody"),
)
NOT_THE_SAME = 8  # what `reproduce` answers
PASSED = {0, NOT_THE_SAME, *MONITOR_CODES.values()}


def _run_all(oarlock, config: Path, commands, seed: int) -> list[int]:
    """Run commands, each of which works or says in one sentence why not; gives their exit codes."""
    codes = []
    for command in commands:
        arguments = [argument.format(folder=config.parent) for argument in command]
        result = oarlock(*arguments, config=config)
        codes.append(result.code)
        assert result.code in DOCUMENTED | PASSED, (seed, command, result.err)
        if result.code not in PASSED:
            assert result.err.strip().splitlines()[-1].startswith("oarlock: "), (seed, command, result.err)
    return codes


@pytest.mark.parametrize("seeds", [range(2), pytest.param(MANY, marks=pytest.mark.slow)], ids=["few", "many"])
def test_no_company_ends_in_a_traceback(oarlock, tmp_path: Path, seeds: range):
    for seed in seeds:
        (folder := tmp_path / str(seed)).mkdir()
        _run_all(oarlock, write_broken_company(seed, folder), COMMANDS, seed)


@pytest.fixture
def trained_company(oarlock, tmp_path: Path) -> Path:
    """The folder of a small company with trained models."""

    def run(*arguments: str) -> None:
        result = oarlock(*arguments, config=tmp_path / "trained/oarlock.toml")
        assert result.code == 0, (arguments, result.err)

    create_trained_company(tmp_path / "trained", run)
    return tmp_path / "trained"


def _drop_prices(table: pa.Table) -> pa.Table:
    return table.drop_columns(["mrr"])


def _spoil_prices(table: pa.Table) -> pa.Table:
    return table.set_column(table.column_names.index("mrr"), "mrr", pa.array([math.nan] * len(table)))


def _keep_no_row(table: pa.Table) -> pa.Table:
    return table.slice(0, 0)


@pytest.mark.parametrize(
    "change",
    [_spoil_prices, *(pytest.param(change, marks=pytest.mark.slow) for change in (_drop_prices, _keep_no_row))],
)
def test_a_model_outlives_a_broken_export(oarlock, trained: TrainedModel, tmp_path: Path, change):
    config = copy_folder(trained.config.parent, tmp_path / "crm5") / "crm5.toml"
    datasets = copy_folder(ROOT / "configs/datasets", tmp_path / "datasets")
    config.write_text(re.sub(r'dataset = ".*"', f'dataset = "{datasets}/crm5.toml"', config.read_text()))
    file, state = datasets / "crm5/subscription.parquet", config.parent / "state" / trained.state.folder.name
    pq.write_table(change(pq.read_table(file)), file)
    before = read_published(state)
    codes = _run_all(oarlock, config, AFTER_TRAINING, 0)
    assert codes[0] in {2, 3}  # nothing is published,
    assert codes[1:3] == [0, 0]  # and what was published is served
    assert read_published(state) == before
    assert find_leftovers(state) == []


@pytest.mark.slow
def test_no_broken_export_ends_in_a_traceback_or_half_of_a_publish(oarlock, trained_company: Path, tmp_path: Path):
    for seed in EXPORTS:
        config = break_export(seed, trained_company, tmp_path / str(seed))
        state = config.parent / "state/oarlock"
        for command in choose_commands(seed):
            before = read_published(state)
            (code,) = _run_all(oarlock, config, [command], seed)
            if code not in PASSED:
                assert read_published(state) == before, (seed, command)
            assert find_leftovers(state) == [], (seed, command)
        write_sound_export(config.parent)
        (published, _, _) = _run_all(oarlock, config, [("publish", *FORCED), ("score", "--all"), ("monitor",)], seed)
        assert published == 0, seed
        assert oarlock("validate", "--online-store", config=config).code == 0, seed
        shutil.rmtree(config.parent)
