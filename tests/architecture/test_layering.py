"""Imports go one way, without circles, and a framework is imported in one area only."""

import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.support.source_tree import (
    LAYERS,
    ROOT,
    folder_graph,
    import_graph,
    imported_names,
    product_files,
    relative_name,
)  # fmt: skip

FRAMEWORKS = {
    "feast": ("features",),
    "mlflow": ("training",),
    "shap": ("training",),
    "bentoml": ("serving",),
    "starlette": ("serving",),
    "fastapi": ("serving",),
    "pyspark": ("features",),
    "optuna": ("training",),
    "alembic": ("serving",),
    "standardwebhooks": ("monitoring",),
    "rich": ("cli",),
    "redis": ("features",),
}
FEAST_MODULES = ["asof_offline_store.py", "feast_store.py", "packed_online_store.py", "redis_online_store.py"]
SLOW_TO_IMPORT = ("feast", "mlflow", "shap", "bentoml", "lightgbm", "pandas")


def imported_packages() -> Iterator[tuple[str, str, set[str]]]:
    """The file, the layer and the imported packages of each module of a layer."""
    for file in product_files():
        if file.parent != ROOT:
            name = relative_name(file)
            yield name, name.split("/")[0], {imported.split(".")[0] for imported in imported_names(file)}


def test_a_module_imports_no_layer_above_its_own():
    above = {layer: {*LAYERS[LAYERS.index(layer) + 1 :], "oarlock"} for layer in LAYERS}
    upward = {name: packages & above[layer] for name, layer, packages in imported_packages()}
    assert {name: packages for name, packages in upward.items() if packages} == {}


@pytest.mark.parametrize("graph", [import_graph, folder_graph], ids=["modules", "folders"])
def test_imports_form_no_circle(graph):
    try:
        TopologicalSorter(graph()).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_a_framework_is_imported_in_its_own_area_only():
    outside = {
        name: {framework for framework in packages & FRAMEWORKS.keys() if layer not in FRAMEWORKS[framework]}
        for name, layer, packages in imported_packages()
    }
    assert {name: frameworks for name, frameworks in outside.items() if frameworks} == {}


def test_feast_is_imported_by_the_store_and_its_plugins_only():
    importers = [
        file.name for file in product_files() if any(name.split(".")[0] == "feast" for name in imported_names(file))
    ]
    assert sorted(importers) == FEAST_MODULES


def test_the_client_of_redis_is_imported_in_one_folder_only():
    importers = {
        relative_name(file.parent)
        for file in product_files()
        if any(name.split(".")[0] == "redis" for name in imported_names(file))
    }
    assert importers == {"features/online"}


def test_help_imports_no_slow_library():
    code = f"import sys, oarlock; print([name for name in {SLOW_TO_IMPORT} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "[]"


def test_the_lock_names_no_package_registry():
    lock = (ROOT / "requirements.lock").read_text()
    assert "--hash=sha256:" in lock
    assert "://" not in lock
