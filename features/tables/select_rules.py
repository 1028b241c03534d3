"""What the select of a table may be: one SELECT that reads the sources of its data set, and nothing else.

DuckDB parses it, as a tree in JSON. Whatever gets past the rules still meets a connection that can open only the files
of the data set (`features/compute/backends/duckdb.py`).
"""

import json
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import Any

ROW_MAKERS = frozenset({"unnest", "range", "generate_series", "json_each", "json_tree"})
# They read settings, write logs, keep state, wait, or plan another query.
FORBIDDEN_FUNCTIONS = frozenset(
    {"current_setting", "getvariable", "write_log", "nextval", "currval", "setseed", "sleep_ms", "json_serialize_plan"}
)
# The parser reads them as columns; a column of that name has to be written with its table.
CLOCK_WORDS = frozenset({"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"})
# The parser makes calls of these out of other syntax, or they exist only inside of it.
SYNTAX_FUNCTIONS = frozenset({"unnest", "struct_pack", "row", "list_value", "grouping", "grouping_id", "count_star"})
Node = Any  # an object, list or value of the parsed statement


def find_select_fault(select: str, sources: Iterable[str]) -> str | None:
    """What a select does that it may not, as the end of a sentence; None if it may do all of it.

    Raises duckdb.Error for text that is not SQL.

    >>> find_select_fault("select * from '/etc/passwd'", ["crm"])
    "reads '/etc/passwd', which is not a source"
    """
    import duckdb

    statements = duckdb.extract_statements(select)
    kinds = [statement.type.name for statement in statements]
    if kinds != ["SELECT"]:
        return f"is not one SELECT but {' and '.join(kinds) or 'nothing'}"
    tree = _parse(select)
    if tree["error"]:
        return f"is not a plain SELECT: {tree['error_message']}"
    return next(_faults(tree["statements"], frozenset(map(str.casefold, sources))), None)


def find_changing_value(select: str) -> str | None:
    """What in a select gives another value when it runs again, such as the present time; None if nothing does.

    >>> find_changing_value("select random() < 0.1 as churned from snapshots")
    'random'
    """
    return next(_changing_values(_parse(select)["statements"]), None)


@lru_cache(maxsize=256)
def _parse(select: str) -> Node:
    # Each of the same few selects is looked at several times, and opening a database takes 14 ms.
    import duckdb

    with duckdb.connect() as connection:
        (parsed,) = connection.execute("select json_serialize_sql($1::varchar)", [select]).fetchall()[0]
    return json.loads(parsed)


def _changing_values(node: Node) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from _changing_values(item)
    elif isinstance(node, dict):
        if node.get("class") == "FUNCTION" and node["function_name"].casefold() in _changing_functions():
            yield node["function_name"]
        if node.get("class") == "COLUMN_REF" and node["column_names"][0].casefold() in CLOCK_WORDS:
            yield node["column_names"][0]
        if node.get("sample"):
            yield "a sample"
        yield from _changing_values(list(node.values()))


def _faults(node: Node, names: frozenset[str]) -> Iterator[str]:
    """The faults below a node in which these names are tables."""
    if isinstance(node, list):
        for item in node:
            yield from _faults(item, names)
    elif isinstance(node, dict):
        yield from _own_faults(node, names)
        for entry in (node.get("cte_map") or {}).get("map", ()):
            yield from _faults_of_cte(entry, names)
            names |= {entry["key"].casefold()}
        for name, value in node.items():
            if name != "cte_map":
                yield from _faults(value, names)


def _faults_of_cte(entry: Node, names: frozenset[str]) -> Iterator[str]:
    """A table expression reads itself only if it is recursive; else its name is that of a table outside."""
    query = entry["value"]["query"]["node"]
    is_recursive = query["type"] == "RECURSIVE_CTE_NODE"
    yield from _faults(query, names | {entry["key"].casefold()} if is_recursive else names)


def _own_faults(node: Node, names: frozenset[str]) -> Iterator[str]:
    kind = node.get("type")
    if kind == "BASE_TABLE":
        path = [node[part] for part in ("catalog_name", "schema_name", "table_name") if node[part]]
        if len(path) > 1 or path[0].casefold() not in names:
            yield f"reads '{'.'.join(path)}', which is not a source"
    elif kind == "SHOW_REF":
        yield "describes tables"
    elif kind == "TABLE_FUNCTION" and node["function"]["function_name"].casefold() not in ROW_MAKERS:
        yield f"calls {node['function']['function_name']}, which reads something other than a source"
    elif node.get("class") == "FUNCTION" and not _is_allowed(node):
        yield f"calls {node['function_name']}, which is not a function of a select"


def _is_allowed(call: Node) -> bool:
    name = call["function_name"].casefold()
    has_schema = call.get("catalog") or call.get("schema") not in {"", None, "main"}
    return not has_schema and (bool(call.get("is_operator")) or name in _functions() | ROW_MAKERS)


@cache
def _changing_functions() -> frozenset[str]:
    import duckdb

    query = "select function_name from duckdb_functions() where stability <> 'CONSISTENT' and function_name <> 'error'"
    with duckdb.connect() as connection:
        return frozenset(name.casefold() for (name,) in connection.execute(query).fetchall())


@cache
def _functions() -> frozenset[str]:
    """The functions of DuckDB that compute a value; Spark, to which selects are translated, has others."""
    import duckdb

    kinds = "('scalar', 'aggregate', 'macro')"
    with duckdb.connect() as connection:
        rows = connection.execute(f"select function_name from duckdb_functions() where function_type in {kinds}")
        names = {name.casefold() for (name,) in rows.fetchall()}
    return frozenset(names | SYNTAX_FUNCTIONS) - FORBIDDEN_FUNCTIONS
