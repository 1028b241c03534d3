"""The names in README and docs: every path, setting, module and command that a page names exists."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import click
import pytest
from markdown_it import MarkdownIt

from configs.settings import Settings
from oarlock import cli
from tests.support.paths import ROOT

PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/*/*.md"), *ROOT.glob("examples/*.md")]
TEXTS = {str(page.relative_to(ROOT)): page.read_text("utf-8") for page in PAGES if page.name != "CHANGELOG.md"}
FOLDERS = "configs|features|training|serving|monitoring|cli|tests|benchmarks|docs|examples"


def inline_code(text: str) -> list[str]:
    """The text between backticks outside code blocks."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    return [child.content for token in tokens for child in token.children or () if child.type == "code_inline"]


def settings() -> dict[str, set[str]]:
    """The keys of each section."""
    schema = Settings.model_json_schema()
    sections = {
        name: field["$ref"].rpartition("/")[2] for name, field in schema["properties"].items() if "$ref" in field
    }
    return {name: set(schema["$defs"][model]["properties"]) for name, model in sections.items()}


def unknown_words(command: click.Command, words: list[str]) -> Iterator[str]:
    """The subcommands and options that a command line names and that do not exist."""
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        name, *words = words
        if name not in command.commands:
            yield name
            return
        command = command.commands[name]
    options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    yield from (word for word in words if word.startswith("--") and word not in options)


@pytest.mark.parametrize("page", TEXTS)
def test_paths_exist(page: str):
    paths = re.findall(rf"`((?:{FOLDERS})/[\w/.-]*)`", TEXTS[page])
    assert [path for path in paths if not Path(ROOT, path).exists()] == []


@pytest.mark.parametrize("page", TEXTS)
def test_settings_exist(page: str):
    known = settings()
    names = [match.groups() for code in inline_code(TEXTS[page]) if (match := re.match(r"(\w+)\.(\w+)$", code))]
    assert [(section, key) for section, key in names if section in known and key not in known[section]] == []


@pytest.mark.parametrize("page", TEXTS)
def test_benchmarks_exist(page: str):
    modules = re.findall(r"python -m (benchmarks[\w.]*)", TEXTS[page])
    assert [module for module in modules if find_spec(module) is None] == []


@pytest.mark.parametrize("page", TEXTS)
def test_commands_exist(page: str):
    lines = [code.split()[1:] for code in inline_code(TEXTS[page]) if code.startswith("oarlock ")]
    assert [word for words in lines for word in unknown_words(cli, words)] == []
