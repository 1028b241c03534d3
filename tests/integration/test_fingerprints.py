"""Fingerprints: what is computed changes them; formatting, comments, renamed locals and moved modules do not."""

import ast
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import ibis
import pytest

from features.compute.expression_hash import hash_expression
from features.compute.fingerprints import fingerprint, signal_set
from features.signals.base import Signal
from features.signals.registry import arrange_signals, catalogue
from features.tables.input_table import INPUT_TABLES
from tests.support.companies import growing_company
from training.registry import code_hash
from training.registry.code_hash import hash_code

CODE = Path(code_hash.__file__).parents[2]
PACKAGES = ("configs", "features", "training")
DECLARED = '''
from features.signals.base import signal

@signal(days=(28,), windows_back=2, empty=0)
def rise(usage_days, days):
    """Events in the last {days} days, less those in the {days} days before."""
    before = (usage_days.days_ago > days) & (usage_days.days_ago <= 2 * days)
    return usage_days.events.sum(where=usage_days.days_ago <= days) - usage_days.events.sum(where=before)
'''


def _declare(folder: Path, source: str, family: str = "adoption") -> Signal:
    """The signal that a module of this source declares."""
    file = folder / f"{family}.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source)
    spec = importlib.util.spec_from_file_location(f"{folder.name}.{family}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return arrange_signals(module.rise, INPUT_TABLES)[0]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("(usage_days.days_ago > days) &", "(\n        usage_days.days_ago > days\n    ) &"),
        ("    before", "    # A comment.\n    before"),
        ("Events in", "How many events in"),
        ("before", "earlier"),
        ("2 * days", "(2 * days)"),
    ],
)
def test_a_reformatted_signal_has_the_same_fingerprint(tmp_path: Path, before: str, after: str):
    again = _declare(tmp_path / "moved", DECLARED.replace(before, after))
    assert fingerprint(again) == fingerprint(_declare(tmp_path, DECLARED))
    assert signal_set((again,)) == signal_set((_declare(tmp_path, DECLARED),))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("2 * days", "3 * days"),
        ("days=(28,)", "days=(91,)"),
        ("windows_back=2", "windows_back=3"),
        ("empty=0", "empty=1"),
        (", empty=0", ""),
        ("> days", ">= days"),
        ("events", "age"),
        ("usage_days", "usage_gaps"),
        ("windows_back=2", "windows_back=2, kind='category'"),
    ],
)
def test_a_changed_signal_has_another_fingerprint(tmp_path: Path, before: str, after: str):
    changed = _declare(tmp_path / "changed", DECLARED.replace(before, after))
    assert fingerprint(changed) != fingerprint(_declare(tmp_path, DECLARED))


def test_another_name_or_family_is_another_signal_set(tmp_path: Path):
    signal, moved = _declare(tmp_path, DECLARED), _declare(tmp_path, DECLARED, "value")
    assert (
        len(
            {signal_set(signals) for signals in ((signal,), (moved,), (replace(signal, name="fall"),), (signal, moved))}
        )
        == 4
    )


def test_windows_of_one_formula_have_different_fingerprints():
    assert len({fingerprint(signal) for signal in catalogue() if signal.name in {"events_7d", "events_28d"}}) == 2


def test_every_signal_has_its_own_fingerprint():
    assert len({fingerprint(signal) for signal in catalogue()}) == len(catalogue())


def test_an_expression_with_rows_in_it_has_no_hash():
    with pytest.raises(TypeError, match="no canonical form"):
        hash_expression(ibis.memtable({"a": [1]}))


FUNCTION = '''
import json
from training.metrics import log_loss

def mean_loss(rows, scale=2):
    """The mean."""
    losses = [log_loss(row) for row in rows]
    return scale * sum(losses) / len(losses)
'''


def _hash_module(folder: Path, source: str, name: str = "training/one.py") -> str:
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_text(source)
    return hash_code(folder, ("training",))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("losses", "each"),
        ("(row) for row in", "(each) for each in"),
        ("rows, scale=2", "rows,\n    scale=2,\n"),
        ("The mean.", "The mean loss."),
        ("training.metrics", "training.losses"),
        ("    return", "    # A comment.\n    return"),
        ("    return", "    #\n\n    return"),
    ],
)
def test_reformatted_code_has_the_same_hash(tmp_path: Path, before: str, after: str):
    again = _hash_module(tmp_path / "again", FUNCTION.replace(before, after), "training/moved/other.py")
    assert again == _hash_module(tmp_path / "first", FUNCTION)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("scale * sum", "scale + sum"),
        ("scale=2", "scale=3"),
        ("import json", "import orjson as json"),
        ("import log_loss", "import brier as log_loss"),
        ("(row) for row in rows", "(rows) for row in rows"),
        ("len(losses)", "len(rows)"),
        ("rows", "snapshots"),  # a parameter's name is part of what callers write
        ("log_loss", "brier"),
    ],
)
def test_changed_code_has_another_hash(tmp_path: Path, before: str, after: str):
    changed = _hash_module(tmp_path / "changed", FUNCTION.replace(before, after))
    assert changed != _hash_module(tmp_path / "first", FUNCTION)


def test_a_local_in_place_of_a_global_changes_the_hash(tmp_path: Path):
    uses_global = "def f():\n    def g():\n        return x\n    y = 1\n    return g() + y"
    uses_local = "def f():\n    def g():\n        return y\n    y = 1\n    return g() + y"
    assert _hash_module(tmp_path / "one", uses_global) != _hash_module(tmp_path / "two", uses_local)


# What a process with the code in the current folder computes of a company that may have been published before.
IDENTIFY = """
import json, sys
from datetime import datetime
from pathlib import Path
from configs.errors import NotReady
from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from features.publishing import pipeline
from features.store.history import published_history
from training.data.training_set import build_training_set
from training.pipelines.training_inputs import model_identity

settings = read_settings(Path(sys.argv[1]))
state = open_state_dir(settings)
try:
    accepted = bool(published_history(state))
except NotReady:
    accepted = False
computed = pipeline.publish(settings, state, pipeline.PublishRequest(datetime(2023, 8, 1)), lambda *_: None).computed
history, _ = published_history(state)
identity = model_identity(settings, build_training_set(settings, state, datetime(2023, 8, 1)))
print(json.dumps({"code": pipeline.__file__, "accepted": accepted, "computed": computed,
                  "history": history.folder.name, "identity": identity}))
"""


@dataclass(frozen=True)
class Identified:
    """What one state of the code computed: whether it accepted the published history, and all identities."""

    code: str
    accepted: bool
    computed: int
    history: str
    identity: dict[str, str]


@pytest.fixture(scope="module")
def identify(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], None]], Identified]:
    """Copy the code, change the copy, and run it on one company, whose state the runs share."""
    folder = tmp_path_factory.mktemp("identities")
    growing_company.create_company(folder / "company")
    config = folder / "company/growing.toml"
    every_signal, _, _ = config.read_text().partition("[signals]")
    few_days = every_signal.replace("warmup_days = 100", "warmup_days = 160")
    config.write_text(few_days + "[label]\nlead_days = 0\nhorizon_days = 30\ngrace_days = 0\n")

    def run(name: str, change: Callable[[Path], None]) -> Identified:
        for package in PACKAGES:
            shutil.copytree(CODE / package, folder / name / package, ignore=shutil.ignore_patterns("__pycache__"))
        change(folder / name)
        command = [sys.executable, "-W", "ignore", "-c", IDENTIFY, str(config)]
        process = subprocess.run(command, cwd=folder / name, capture_output=True, text=True, check=False)
        assert process.returncode == 0, process.stderr
        return Identified(**json.loads(process.stdout.splitlines()[-1]))

    return run


@pytest.fixture(scope="module")
def first(identify) -> Identified:
    return identify("first", lambda _: None)


def _retype(code: Path) -> None:
    """Format every module anew, without comments; rename local variables; move a module and a folder of modules."""
    for file in code.rglob("*.py"):
        text = "# A comment.\n" + ast.unparse(ast.parse(file.read_text()))
        file.write_text(
            text.replace("features.signals", "features.declared").replace("training.data.time_splits", "training.w")
        )
    (code / "features/signals").rename(code / "features/declared")
    (code / "training/data/time_splits.py").rename(code / "training/w.py")
    _replace(code / "features/declared/adoption.py", r"\brecent\b", "lately")
    _replace(code / "features/tables/derived.py", r"\bsettled\b", "certain")
    _replace(code / "training/w.py", r"\bsplits\b", "longer_horizons")


def _replace(file: Path, pattern: str, new: str) -> None:
    text, times = re.subn(pattern, new, file.read_text())
    assert times > 1
    file.write_text(text)


@pytest.mark.slow
def test_reformatted_code_accepts_the_published_history(identify, first: Identified):
    again = identify("retyped", _retype)
    assert again == replace(first, code=again.code, accepted=True, computed=0)
    assert again.code != first.code


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("features/signals/adoption.py", "ago > days) & (ago <= 2 * days)", "ago > days) & (ago < 2 * days)"),
        ("features/tables/derived.py", "RECENT_DAYS = 28", "RECENT_DAYS = 29"),
    ],
)
def test_changed_code_accepts_no_published_history(identify, first: Identified, file: str, before: str, after: str):
    def change(code: Path) -> None:
        text = (code / file).read_text()
        assert before in text
        (code / file).write_text(text.replace(before, after))

    other = identify(Path(file).stem, change)
    assert not other.accepted
    assert other.computed == first.computed
    assert other.history != first.history
    assert other.identity["signal_set"] != first.identity["signal_set"]
    assert other.identity["code"] != first.identity["code"]
