"""The page of the command line: the help of every command."""

from collections.abc import Iterator

import click

from docs.generate.markdown import join

WIDTH = 100


def cli_page() -> str:
    """What `--help` prints for every command."""
    from oarlock import cli

    parts = [
        "# Command line",
        "The output of `--help` for every command. [Errors and exit codes](errors.md) lists how a command can end.",
    ]
    for path, command in _commands(cli, ("oarlock",)):
        parts += [f"## {' '.join(path)}", f"```text\n{_help(path, command)}\n```"]
    return join(parts)


def _commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from _commands(child, (*path, name))


def _help(path: tuple[str, ...], command: click.Command) -> str:
    context = click.Context(command, info_name=" ".join(path), terminal_width=WIDTH)
    return "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
