"""Examples in Markdown: the code blocks of a page, run in order, and their output compared with what the page shows.

A `console` block holds commands after `$ ` and, optionally, their output. `bash` and `python` blocks must succeed. A
comment before a block says what else to do with it:

    <!-- file: acme.toml -->          write the block to this file
    <!-- not run: needs Java -->      leave the block out, for this reason
    <!-- exit code: 9 -->             expect this exit code of its last command, or one of several: 0, 19

In an output `...` stands for anything, white space does not count, and a decimal may be cut: 0.52 matches 0.5285.
"""

import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

RUN = ("console", "bash", "python")
DOCUMENTED = (*RUN, "toml", "json", "text", "mermaid", "ini", "yaml")
COMMENT = re.compile(r"<!--\s*(file|not run|exit code):\s*(.+?)\s*-->")
DECIMAL = re.compile(r"\d+\.\d+")
FRAMES = str.maketrans("", "", "".join(map(chr, range(0x2500, 0x2580))))


@dataclass(frozen=True)
class Example:
    """A code block of a page, with the comment before it."""

    page: str
    line: int
    language: str
    content: str
    comment: str = ""
    argument: str = ""

    @property
    def is_run(self) -> bool:
        """Whether it is code that the test executes."""
        return self.language in RUN and self.comment not in {"not run", "file"}

    @property
    def exit_codes(self) -> tuple[int, ...]:
        """The exit codes of which its last command ends with one."""
        return tuple(map(int, self.argument.split(","))) if self.comment == "exit code" else (0,)


@dataclass(frozen=True)
class Command:
    """A command of an example and the output that the page shows for it; None if it shows none."""

    text: str
    output: str | None = None


def read_examples(page: Path, root: Path) -> list[Example]:
    """The code blocks of a Markdown file, in document order."""
    comment = argument = ""
    examples = []
    for token in MarkdownIt("commonmark").parse(page.read_text("utf-8")):
        if token.type == "html_block":
            match = COMMENT.search(token.content)
            comment, argument = match.groups() if match else ("", "")
        elif token.type == "fence":
            line = token.map[0] + 1 if token.map else 0
            name = str(page.relative_to(root))
            examples.append(Example(name, line, token.info.strip(), token.content, comment, argument))
            comment = argument = ""
    return examples


def commands_of(example: Example) -> list[Command]:
    """The commands of an example with the output shown for each."""
    if example.language == "python":
        return [Command(f"{shlex.quote(sys.executable)} - <<'END_OF_PYTHON'\n{example.content}\nEND_OF_PYTHON")]
    if example.language == "bash":
        return [Command(example.content)]
    return list(_console_commands(example.content.splitlines()))


def _console_commands(lines: list[str]) -> Iterator[Command]:
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        last = start
        while lines[last].endswith("\\"):
            last += 1
        output = "\n".join(lines[last + 1 : end]).strip()
        yield Command("\n".join(lines[start : last + 1]).removeprefix("$ "), output or None)


def matches(shown: str, actual: str) -> bool:
    """Whether an output is the one that a page shows.

    >>> matches("risk 0.52 ... (n = 3)", "risk 0.5285, high   (n = 3)")
    True
    >>> matches("risk 0.52", "risk 0.5385")
    False
    """
    return re.fullmatch(_pattern(_plain(shown)), _plain(actual), flags=re.DOTALL) is not None


def _plain(text: str) -> str:
    return "".join(text.translate(FRAMES).split())


def _pattern(shown: str) -> str:
    return ".*?".join(_cut_decimals(part) for part in shown.split("..."))


def _cut_decimals(text: str) -> str:
    pattern, end = "", 0
    for match in DECIMAL.finditer(text):
        pattern += re.escape(text[end : match.start()]) + re.escape(match[0]) + r"\d*"
        end = match.end()
    return pattern + re.escape(text[end:])
