"""Signals of one's own in Python files: loaded, and refused in one sentence if a publish could not compute them."""

import importlib.util
import traceback
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import ibis.common.exceptions as ibis_errors
import ibis.expr.operations as ops
import ibis.expr.types as ir

from configs.errors import ConfigError
from features.compute.expression_hash import hash_expression
from features.compute.fingerprints import formula_value, table_columns
from features.signals.base import Signal
from features.tables.input_table import InputTable

# What a mistake in such a file raises.
CODE_ERRORS = (
    *(
        ImportError,
        SyntaxError,
        NameError,
        AttributeError,
        TypeError,
        ValueError,
        LookupError,
        ArithmeticError,
        OSError,
    ),
    ibis_errors.IbisError,
)
HINT = "`oarlock signals test` tries your signals on generated tables."


def load_signals(path: Path) -> list[Signal]:
    """The signals that a Python file declares; the family of each is the name of the file unless it names another.

    Raises ConfigError for a file that is missing, fails, or declares none.
    """
    if not path.is_file():
        raise ConfigError(f"signals.modules: there is no file {path}.", "Correct the path, or remove it.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader, f"{path} has a loader, because its suffix was checked"
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except CODE_ERRORS as error:
        raise ConfigError(f"signals.modules: {path.name} fails{_line(error, path)}: {_reason(error)}.", HINT) from None
    members = [member for member in vars(module).values() if isinstance(member, tuple)]
    signals = [item for member in members for item in member if isinstance(item, Signal)]
    if not signals:
        raise ConfigError(f"signals.modules: {path.name} declares no signal.", "Decorate a function with @signal(...).")
    return signals


def check_inputs(own: Iterable[Signal], tables: Mapping[str, InputTable], signals: Collection[str]) -> None:
    """Raise ConfigError for a signal without a sentence, or whose inputs are not one table or some signals."""
    for signal in own:
        stem = signal.name[signal.name.rfind("_") :]
        unknown = [name for name in signal.inputs if name not in tables and not {name, name + stem} & set(signals)]
        if unknown or not signal.inputs:
            what = f"reads '{unknown[0]}', which is neither a table nor a signal" if unknown else "reads nothing"
            raise _refuse(signal, what, f"The tables are {', '.join(tables)}.")
        if len(signal.inputs) > 1 and any(name in tables for name in signal.inputs):
            hint = "Declare a signal per table, and one that is computed from them."
            raise _refuse(signal, "reads a table and something else", hint)
        if not signal.sentence:
            raise _refuse(signal, "has no docstring, which is the sentence that people read", "Add one.")


def check_formula(signal: Signal) -> None:
    """Raise ConfigError for a formula that fails, or that is not one value of its input alone."""
    try:
        value = formula_value(signal)
    except CODE_ERRORS as error:
        raise _refuse(signal, f"fails: {_reason(error)}", HINT) from None
    if not isinstance(value, ir.Value):
        raise _refuse(signal, f"gives {type(value).__name__}, not a value of its input", "Return an Ibis expression.")
    if signal.table and not isinstance(value, ir.Scalar):
        raise _refuse(signal, "gives a value per row, not one per account", "Aggregate it, such as with .sum().")
    if signal.table and _reads_elsewhere(value, signal.table):
        what = "peeks at rows that nothing cuts in time: it reads something other than its input"
        raise _refuse(signal, what, "Map those rows as a table of your own, and name it as the parameter.")
    try:
        hash_expression(value)
    except TypeError as error:
        raise _refuse(signal, f"cannot be compared with what it was before: {error}", "Use Ibis expressions.") from None


def _reads_elsewhere(value: ir.Value, table: InputTable) -> bool:
    """Whether a value depends on rows that are not those of its input."""
    root = table_columns(table).op()
    operation = value.op()
    return bool(operation.find(ops.SQLQueryResult)) or any(t != root for t in operation.find(ops.PhysicalTable))


def _refuse(signal: Signal, what: str, hint: str) -> ConfigError:
    return ConfigError(f"signals: your signal '{signal.name}' {what}.", hint)


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")


def _line(error: Exception, path: Path) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
    return f" in line {lines[-1]}" if lines else ""
