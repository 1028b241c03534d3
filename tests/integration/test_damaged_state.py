"""Whatever spoils a file of the state folder, a command works, or names the file in one sentence with an exit code."""

import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from docs.generate.errors import EXIT_CODES
from monitoring.verdicts.verdict import EXIT_CODES as MONITOR_CODES
from serving.scoring.model_bundle import load_bundle
from serving.security.sessions import read_or_create_secret
from serving.treeshap.kernel import Kernel
from tests.support.paths import ROOT
from tests.support.trained_model import QUICK_TRAINING, TrainedModel, copy_folder

DOCUMENTED = {int(code) for codes, _ in EXIT_CODES for code in codes.split(",")} - {1}
DAY = "days/2023-07-01"


@dataclass(frozen=True)
class Kind:
    """A kind of file: where the first of them is, and whether `publish` and `promote` make it anew."""

    pattern: str
    is_rebuilt: bool = True


KINDS = {
    "owner": Kind("owner.json", is_rebuilt=False),
    "publication": Kind("published.json"),
    "champion": Kind("champion.json"),
    "versions": Kind("models.json"),
    "validation": Kind("validation.json"),
    "applied": Kind("feast/applied.json"),
    "feast registry": Kind("feast/registry.db"),
    "history registry": Kind("feast/histories/*.db"),
    "online store": Kind("feast/packed.db"),
    "account table": Kind("accounts.db"),
    "day": Kind(f"history/*/{DAY}/day.json"),
    "signals": Kind(f"history/*/{DAY}/adoption.parquet"),
    "bundle": Kind("champion/1-*/bundle.json"),
    "bundle arrays": Kind("champion/1-*/arrays.npz"),
    "registry": Kind("mlflow/mlflow.db", is_rebuilt=False),
    "model": Kind("mlflow/artifacts/**/model.json", is_rebuilt=False),
    "booster": Kind("mlflow/artifacts/**/booster.txt", is_rebuilt=False),
    "evaluation": Kind("mlflow/artifacts/**/model/evaluation.json", is_rebuilt=False),
    "ledger": Kind("ledger.db", is_rebuilt=False),
    "stored bundle": Kind("mlflow/artifacts/**/bundle-*/**/arrays.npz"),
    "session secret": Kind("session.key"),
    "source profile": Kind("monitoring/sources/2023-07-01.json"),
}
COMMANDS = (
    ("score", "1096", "--json"),
    ("score", "1096", "--as-of", "2023-06-01", "--json"),
    ("explain", "1096", "--json"),
    ("signals", "--json"),
    ("validate", "--online-store", "--json"),
    ("models", "list", "--json"),
    ("model-card", "--json"),
    ("keys", "list", "--json"),
    ("audit", "--json"),
    ("monitor", "--json"),
    ("train", "--json"),
    ("erase", "nobody", "--json"),
    ("publish", "--json"),
    ("promote", "1"),
)
REBUILD = (("publish", "--json"), ("promote", "1"), ("score", "1096", "--json"))


def _random_bytes(content: bytes) -> bytes:
    return random.Random(0).randbytes(max(len(content), 100))


def _overwrite_middle(content: bytes) -> bytes:
    """The first and the last third of a file, with other bytes between them."""
    third = len(content) // 3
    return content[:third] + _random_bytes(content)[:third] + content[2 * third :]


SPOILS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut": lambda content: content[: len(content) // 2],
    "random": _random_bytes,
    "middle": _overwrite_middle,
    "list": lambda _: b"[]",
    "other object": lambda _: b'{"size": 3}',
}


def _spoil(file: Path, spoil: str) -> None:
    content = file.read_bytes()
    for part in file.parent.glob(f"{file.name}*"):
        part.unlink()  # a write-ahead log would make up for a damaged database
    if spoil == "other object" and content.startswith(b"SQLite"):
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("create table accounts (size integer)")
    elif spoil == "other object" and content.startswith(b"PAR1"):
        pq.write_table(pa.table({"size": [3]}), file)
    else:
        file.write_bytes(SPOILS[spoil](content))


@pytest.fixture
def copy_company(trained: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Path]:
    """A function that copies the trained company, whose next model is a small one; gives its settings file."""
    for name, value in QUICK_TRAINING.items():
        monkeypatch.setenv(name, value)

    def copy() -> Path:
        folder = tmp_path / "company"
        shutil.rmtree(folder, ignore_errors=True)
        copy_folder(trained.state.folder, folder / "state/crm5")
        return Path(shutil.copy(trained.config, folder))

    return copy


def _check(oarlock, config: Path, kind: str, commands) -> None:
    (name,) = {Path(KINDS[kind].pattern).name}
    expected = name.removesuffix(".json").split("*")[0]
    for command in commands:
        result = oarlock(*command, config=config)
        assert result.code in DOCUMENTED, (command, result.err)
        if result.code not in {0, *MONITOR_CODES.values()}:
            _, line = result.failure
            assert expected in line or str(Path(KINDS[kind].pattern).parent).strip("*/") in line, (command, line)


def _try(oarlock, config: Path, kind: str, spoil: str, commands) -> None:
    state = config.parent / "state/crm5"
    oarlock("keys", "list", config=config)  # makes the ledger, if no test before did
    read_or_create_secret(state / "session.key")
    file = sorted(state.glob(KINDS[kind].pattern))[0]
    _spoil(file, spoil)
    _check(oarlock, config, kind, commands)
    if KINDS[kind].is_rebuilt:
        assert [oarlock(*command, config=config).code for command in REBUILD] == [0, 0, 0]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "spoil"), list(zip(KINDS, cycle(SPOILS), strict=False)))
def test_every_command_works_or_names_the_damaged_file(oarlock, copy_company, kind, spoil):
    _try(oarlock, copy_company(), kind, spoil, COMMANDS)


@pytest.mark.parametrize(
    ("kind", "spoil", "code"),
    [
        ("publication", "other object", 5),
        ("champion", "list", 5),
        ("online store", "random", 5),
        ("bundle", "cut", 6),
        ("account table", "empty", 0),
    ],
)
def test_a_damaged_file_is_named_and_made_anew(oarlock, copy_company, kind, spoil, code):
    config = copy_company()
    for ledger in config.parent.glob("state/crm5/ledger.db*"):
        ledger.unlink()  # without its last known risks
    (file,) = (config.parent / "state/crm5").glob(KINDS[kind].pattern)
    _spoil(file, spoil)
    result = oarlock("score", "1096", "--json", config=config)
    assert (result.code, file.name in result.err or str(file.parent) in result.err) == (code, code != 0)
    assert [oarlock(*command, config=config).code for command in REBUILD] == [0, 0, 0]


@pytest.mark.slow  # a process of its own: in this one MLflow remembers where the copied run was
def test_promote_makes_a_damaged_bundle_anew_in_the_registry_too(copy_company):
    config = copy_company()
    state = config.parent / "state/crm5"
    (stored,) = state.glob("mlflow/artifacts/**/bundle-*/**/arrays.npz")
    _spoil(stored, "cut")
    shutil.rmtree(next(state.glob("champion/1-*")))
    command = [sys.executable, str(ROOT / "oarlock.py"), "--config", str(config), "promote", "1"]
    subprocess.run(command, cwd=ROOT, check=True)
    load_bundle(stored.parent, Kernel(state / "compiled"))
