"""The examples in README and docs: they run, and their output is the one that the page shows."""

import json
import re
import tomllib
from typing import Any

import pytest

from configs.settings import Settings
from features.tables.mapping import DatasetMapping
from serving.exports.field_map import FieldMap
from tests.support.doc_examples import DOCUMENTED, Example, commands_of, matches, read_examples
from tests.support.doc_runs import run_examples
from tests.support.doc_shell import DocShell
from tests.support.paths import ROOT

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("*/*.md")),
]
EXAMPLES = {str(page.relative_to(ROOT)): read_examples(page, ROOT) for page in PAGES}
OPERATOR_PAGE = "docs/how-to/deploy.md"  # run by test_operator_examples.py
RUN_PAGES = [
    name for name, examples in EXAMPLES.items() if name != OPERATOR_PAGE and any(example.is_run for example in examples)
]


SERVERS = {  # a topology needs them, and their addresses belong into the environment
    "ledger": {"url": "postgresql://oarlock@postgres/oarlock"},
    "stores": {
        "online": "redis://redis:6379/0",
        "feast_registry": "postgresql://oarlock@postgres/feast",
        "mlflow": "https://mlflow.example.com",
    },
}


def validate_toml(content: dict[str, Any]) -> None:
    """Raise pydantic's ValidationError if a mapping, a field map or a part of a settings file is not valid."""
    if content.keys() & {"sources", "tables"}:
        DatasetMapping(**{"name": "acme", "sources": {"billing": "billing.csv"}, **content})
    elif "fields" in content:
        FieldMap(**content)
    else:
        data = {"dataset": "mapping.toml", **content.pop("data", {})}
        servers = SERVERS if "topology" in content else {}
        Settings(**{"name": "acme", **servers, **content, "data": data})


@pytest.mark.examples
@pytest.mark.parametrize("page", RUN_PAGES)
def test_examples_run_as_shown(page: str, shell: DocShell):
    faults = run_examples(EXAMPLES[page], shell)
    assert not faults, "\n\n".join(faults)


@pytest.mark.parametrize("page", EXAMPLES)
def test_every_block_names_a_language_that_the_test_knows(page: str):
    assert [example for example in EXAMPLES[page] if example.language not in DOCUMENTED] == []


@pytest.mark.parametrize("page", EXAMPLES)
def test_toml_blocks_hold_known_settings(page: str):
    for example in EXAMPLES[page]:
        if example.language == "toml":
            validate_toml(tomllib.loads(example.content))


@pytest.mark.parametrize("page", EXAMPLES)
def test_json_blocks_are_valid(page: str):
    for example in EXAMPLES[page]:
        if example.language == "json":
            json.loads(example.content)


@pytest.mark.parametrize("page", EXAMPLES)
def test_links_to_files_lead_somewhere(page: str):
    text = (ROOT / page).read_text("utf-8")
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text)
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_bytes()) <= 8_000


@pytest.mark.parametrize(
    ("shown", "actual", "same"),
    [
        ("risk 9.4 %", "risk  9.42 %", True),
        ("risk 9.4 %", "risk 9.3 %", False),
        ("first ... last", "first\nsecond\nlast", True),
        ('{"a": [1, ...]}', '{"a":[1,2,3]}', True),
        ("│ a │ 1 │", "a 1", True),
    ],
)
def test_an_output_matches_what_is_shown(shown: str, actual: str, same: bool):
    assert matches(shown, actual) is same


def test_a_console_block_is_split_into_commands_with_their_outputs():
    example = Example("page.md", 1, "console", "$ echo a \\\n  b\na b\n$ true\n")
    assert [(command.text, command.output) for command in commands_of(example)] == [
        ("echo a \\\n  b", "a b"),
        ("true", None),
    ]
