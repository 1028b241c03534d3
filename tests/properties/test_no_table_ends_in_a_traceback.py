"""Whatever the raw tables hold, every command works, or ends in one sentence with a documented exit code.

COMPANY_TRIALS is how many companies the slow test tries.
"""

import math
import os
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from docs.generate.errors import EXIT_CODES
from monitoring.verdicts.verdict import EXIT_CODES as MONITOR_CODES
from tests.support.broken_tables import write_broken_company
from tests.support.paths import ROOT
from tests.support.published_state import find_leftovers, read_published
from tests.support.trained_model import TrainedModel, copy_folder

DOCUMENTED = {int(code) for codes, _ in EXIT_CODES for code in codes.split(",")} - {1}
MANY = range(100, 100 + int(os.environ.get("COMPANY_TRIALS", "40")))
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
PASSED = {0, *MONITOR_CODES.values()}


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


def _drop_prices(table: pa.Table) -> pa.Table:
    return table.drop_columns(["mrr"])


def _spoil_prices(table: pa.Table) -> pa.Table:
    return table.set_column(table.column_names.index("mrr"), "mrr", pa.array([math.nan] * len(table)))


@pytest.mark.parametrize(
    "change",
    [_spoil_prices, pytest.param(_drop_prices, marks=pytest.mark.slow)],
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
