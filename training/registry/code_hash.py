"""The hash of code: of its syntax tree, not of how it is typed or in which module it stands."""

import ast
import hashlib
import symtable
from collections.abc import Collection, Iterator
from pathlib import Path

Import = ast.Import | ast.ImportFrom
Function = ast.FunctionDef | ast.AsyncFunctionDef
# What holds the name of a variable, and in which field.
NAME_FIELDS: dict[type[ast.AST], str] = {
    ast.Name: "id",
    ast.ExceptHandler: "name",
    ast.MatchAs: "name",
    ast.MatchStar: "name",
    ast.MatchMapping: "rest",
}


def hash_code(folder: Path, packages: Collection[str]) -> str:
    """A hash of all Python code in some packages of a folder.

    It stays the same through a reformat, a comment, a docstring, a renamed local variable, and a definition or module
    that moves within the packages. It changes with all else, also with what changes no result: the text of a message,
    or the name of a parameter, which is how callers pass it.
    """
    files = [file for package in packages for file in (folder / package).rglob("*.py")]
    statements = {text for file in files for text in _statements(ast.parse(file.read_bytes()), packages)}
    return hashlib.sha256("\n".join(sorted(statements)).encode()).hexdigest()[:12]


def _statements(module: ast.Module, packages: Collection[str]) -> Iterator[str]:
    _number_locals(module)
    _drop_docstrings(module)
    _drop_own_paths(module, packages)
    for statement in module.body:
        if isinstance(statement, Import):
            yield from _imports(statement)
        else:
            yield ast.dump(statement)


def _imports(statement: Import) -> Iterator[str]:
    """One text a name, so that imports can be merged; none for a definition that is counted where it stands."""
    module = getattr(statement, "module", None)
    for alias in statement.names:
        if module != "" or alias.asname:
            yield f"{module} {ast.dump(alias)}"


def _drop_docstrings(module: ast.Module) -> None:
    for node in ast.walk(module):
        if isinstance(node, ast.Module | ast.ClassDef | Function) and ast.get_docstring(node) is not None:
            del node.body[0]


def _drop_own_paths(module: ast.Module, packages: Collection[str]) -> None:
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in packages:
            node.module = ""


def _number_locals(module: ast.Module) -> None:
    """Give each function's local variables numbers for names, in the order in which they first appear.

    Each name is replaced everywhere in the function or nowhere, so functions that mean different things stay different.
    """
    owners = [module, *(node for node in module.body if isinstance(node, ast.ClassDef))]
    for function in (node for owner in owners for node in owner.body if isinstance(node, Function)):
        numbers = dict.fromkeys(_local_names(function), "")
        for node in ast.walk(function):
            field = NAME_FIELDS.get(type(node), "")
            if (name := getattr(node, field, None)) in numbers:
                numbers[name] = numbers[name] or str(sum(map(bool, numbers.values())))
                setattr(node, field, numbers[name])


def _local_names(function: Function) -> set[str]:
    """The names that are variables wherever they stand in a function, and in none of its scopes anything else."""
    symbols = list(_symbols(symtable.symtable(ast.unparse(function), "", "exec")))
    variables = {symbol.get_name() for symbol, is_variable in symbols if is_variable}
    return variables - {symbol.get_name() for symbol, is_variable in symbols if not is_variable}


def _symbols(table: symtable.SymbolTable) -> Iterator[tuple[symtable.Symbol, bool]]:
    in_function = table.get_type() == "function"
    for symbol in table.get_symbols():
        is_other = symbol.is_parameter() or symbol.is_global() or symbol.is_imported() or symbol.is_namespace()
        yield symbol, in_function and not is_other
    for child in table.get_children():
        yield from _symbols(child)
