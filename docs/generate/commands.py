"""The page of the command line: the help of every command."""

from collections.abc import Iterator

import click

from docs.generate.markdown import join


def cli_page() -> str:
    """What `--help` prints for every command."""
    from oarlock import cli

    parts = [
        "# Command line",
        "The output of `--help` for every command. [Errors and exit codes](errors.md) lists how a command can end.",
    ]
    for context in _contexts(cli, "oarlock"):
        parts += [f"## {context.command_path}", f"```text\n{_help(context)}\n```"]
    return join(parts)


def _contexts(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[click.Context]:
    context = click.Context(command, info_name=name, parent=parent, **command.context_settings)
    yield context
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            yield from _contexts(command.commands[child], child, context)


def _help(context: click.Context) -> str:
    # A terminal as wide as the help may become: the page must not depend on that of who writes it.
    context.terminal_width = context.max_content_width
    return "\n".join(line.rstrip() for line in context.get_help().splitlines())
