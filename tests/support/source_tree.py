"""The product's source files as syntax trees, for the tests of the architecture."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
LAYERS = ("configs", "features", "training", "serving", "monitoring", "cli")


@cache
def product_files() -> tuple[Path, ...]:
    """Every Python file of the product, without tests and benchmarks."""
    return (ROOT / "oarlock.py", *(file for layer in LAYERS for file in sorted((ROOT / layer).rglob("*.py"))))


@cache
def syntax_tree(file: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(file.read_text("utf-8"))


def relative_name(file: Path) -> str:
    """The path of a file below the project's folder."""
    return str(file.relative_to(ROOT))


def module_name(file: Path) -> str:
    """The dotted name under which a file is imported."""
    return relative_name(file).removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def imported_names(file: Path) -> Iterator[str]:
    """The dotted names a file imports, at its top or inside a function; `from a import b` gives `a.b`."""
    for node in ast.walk(syntax_tree(file)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def import_graph() -> dict[str, frozenset[str]]:
    """The product's modules that each of its modules imports."""
    modules = {module_name(file): file for file in product_files()}
    graph = {}
    for module, file in modules.items():
        names = {name if name in modules else name.rpartition(".")[0] for name in imported_names(file)}
        graph[module] = frozenset(names & modules.keys()) - {module}
    return graph


def folder_graph() -> dict[str, set[str]]:
    """The folders whose modules the modules of each folder import."""
    graph: dict[str, set[str]] = {}
    for module, imported in import_graph().items():
        folder = module.rpartition(".")[0]
        graph.setdefault(folder, set()).update({name.rpartition(".")[0] for name in imported} - {folder})
    return graph
