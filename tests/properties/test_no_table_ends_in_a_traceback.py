"""Whatever the raw tables hold, every command works, or ends in one sentence with a documented exit code."""

from pathlib import Path

import pytest

from docs.generate.errors import EXIT_CODES
from tests.support.broken_tables import write_broken_company

DOCUMENTED = {int(code) for codes, _ in EXIT_CODES for code in codes.split(",")} - {1}
COMMANDS = (
    ("validate",),
    ("validate", "--json"),
    ("publish", "--json"),
    ("train", "--json"),
    ("promote",),
    ("score", "--all", "--json"),
    ("explain", "A0", "--json"),
    ("monitor", "--json"),
    ("signals", "--json"),
)


@pytest.mark.parametrize(
    "seeds", [range(2), pytest.param(range(100, 140), marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_no_company_ends_in_a_traceback(oarlock, tmp_path: Path, seeds: range):
    for seed in seeds:
        (folder := tmp_path / str(seed)).mkdir()
        config = write_broken_company(seed, folder)
        for command in COMMANDS:
            result = oarlock(*command, config=config)
            assert result.code in DOCUMENTED, (seed, command, result.err)
            if result.code not in (0, 10, 11, 12):
                assert result.err.strip().splitlines()[-1].startswith("oarlock: "), (seed, command)
