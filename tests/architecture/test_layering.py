"""The house rules that a reader counts on: imports go one way, a framework lives in one room, functions stay small."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("configs", "features", "training", "serving", "monitoring")
FRAMEWORKS = {
    "feast": "features",
    "mlflow": "training",
    "shap": "training",
    "bentoml": "serving",
    "starlette": "serving",
    "fastapi": "serving",
}
LONGEST_FUNCTION = 50
# The front door's verbs may use every room; no room knows them.
FRONT = [ROOT / "oarlock.py", *sorted((ROOT / "commands").glob("*.py"))]
MODULES = [file for room in ROOMS for file in sorted((ROOT / room).rglob("*.py"))]


def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"))


def _imported(file: Path) -> set[str]:
    nodes = list(ast.walk(_tree(file)))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


def _room(file: Path) -> str:
    return file.relative_to(ROOT).parts[0]


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_module_imports_only_from_rooms_before_its_own(file):
    allowed = ROOMS[: ROOMS.index(_room(file)) + 1]
    rooms = {name.split(".")[0] for name in _imported(file)} & {*ROOMS, "oarlock", "commands"}
    assert rooms <= set(allowed)


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_framework_is_imported_in_its_own_room_only(file):
    used = {name.split(".")[0] for name in _imported(file)} & FRAMEWORKS.keys()
    assert all(FRAMEWORKS[name] == _room(file) for name in used)


def test_feast_is_known_to_the_store_and_its_two_halves_only():
    knowing = [file.name for file in MODULES if any(name.split(".")[0] == "feast" for name in _imported(file))]
    assert knowing == ["asof.py", "packed.py", "store.py"]


@pytest.mark.parametrize("file", [*MODULES, *FRONT], ids=lambda file: str(file.relative_to(ROOT)))
def test_a_module_says_its_idea_in_its_first_line(file):
    assert file.name == "__init__.py" or (ast.get_docstring(_tree(file)) or "").strip()


def test_the_front_door_knows_no_framework():
    used = {name.split(".")[0] for file in FRONT for name in _imported(file)}
    assert not used & FRAMEWORKS.keys()


def test_no_function_is_longer_than_a_page():
    long = [
        f"{file.name}:{node.name}"
        for file in [*MODULES, *FRONT]
        for node in ast.walk(_tree(file))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > LONGEST_FUNCTION
    ]
    assert long == []


def test_help_imports_no_framework():
    code = (
        "import sys, oarlock; print([m for m in ('feast', 'mlflow', 'shap', 'bentoml', 'pandas') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"


def test_the_lock_names_no_package_registry():
    lock = (ROOT / "requirements.lock").read_text()
    assert "--hash=sha256:" in lock
    assert "://" not in lock
