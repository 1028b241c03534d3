"""Whatever the raw tables hold, every command works, or ends in one sentence with a documented exit code.

COMPANY_TRIALS is how many companies the slow test tries.
"""

import os
from pathlib import Path

import pytest

from docs.generate.errors import EXIT_CODES
from monitoring.verdicts.verdict import EXIT_CODES as MONITOR_CODES
from tests.support.broken_tables import write_broken_company

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
