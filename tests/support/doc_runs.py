"""Runs the examples of a page of the documentation, and says where they do not do what the page shows."""

from collections.abc import Sequence

from tests.support.doc_examples import Example, commands_of, matches
from tests.support.doc_shell import DocShell


def run_examples(examples: Sequence[Example], shell: DocShell) -> list[str]:
    """What is wrong with the examples of a page, one text per command."""
    return [fault for example in examples for fault in _run_example(example, shell)]


def _run_example(example: Example, shell: DocShell) -> list[str]:
    """What is wrong with an example, one text per command."""
    if example.comment == "file":
        (shell.folder / example.argument).write_text(example.content)
    if not example.is_run:
        return []
    faults = []
    *_, last = commands = commands_of(example)
    for command in commands:
        result = shell.run(command.text)
        where = f"{example.page}:{example.line}: {command.text}"
        if result.exit_code not in (example.exit_codes if command is last else (0,)):
            faults.append(f"{where}\nexit code {result.exit_code}:\n{result.output}")
        elif command.output is not None and not matches(command.output, result.output):
            faults.append(f"{where}\nshown:\n{command.output}\nactual:\n{result.output}")
    return faults
