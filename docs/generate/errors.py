"""The page of the errors: the exit codes, and the tree of errors with code and HTTP status."""

from collections.abc import Iterator

from docs.generate.markdown import first_line, join, table

EXIT_CODES = [
    ("0", "done; `monitor`: ok"),
    ("1", "an error in Oarlock itself, with a traceback"),
    ("2", "the settings, a mapping or the command line cannot be read"),
    ("3", "a raw table breaks the contract, or a day fails the quality gate"),
    ("4", "there is nothing to learn from"),
    ("5", "a step that must come first is missing, or a file of the state folder is damaged"),
    ("6", "the promotion is refused"),
    ("7", "another process does the same work, or the port is in use"),
    ("8", "`reproduce`, `verify`, `upgrade --dry-run`: not the same"),
    ("9", "a request that cannot be answered, such as an unknown account"),
    ("10", "`monitor`: population moved"),
    ("11", "`monitor`: cause changed: retrain"),
    ("12", "`monitor`: cannot tell yet"),
    ("13", "the disk is full; nothing is half-written"),
    ("14", "`monitor`: level moved: recalibrate"),
    ("15", "`monitor`: mend a source"),
    ("16", "`monitor`: plays work"),
    ("17", "`verify`: the ledger does not hold the entry of the page"),
    ("18", "`verify`: another release made the page, or its signals or model were replaced since"),
    ("19", "`doctor`: warnings"),
    ("20", "`doctor`: faults"),
    ("130", "stopped by Ctrl-C; nothing is half-written"),
]


def errors_page() -> str:
    """The exit codes and every error."""
    from configs.errors import OarlockError

    rows = [
        (f"`{error.code}`", str(error.exit_code), str(error.status), first_line(error.__doc__))
        for error in _subclasses(OarlockError)
        if error.__module__ == OarlockError.__module__  # others have the code of one of these
    ]
    return join(
        [
            "# Errors and exit codes",
            "Every command can be killed and run again. An error is one sentence on standard error, with a hint.",
            table(("exit code", "meaning"), EXIT_CODES),
            "## Errors",
            'Over HTTP an error answers `{"error": {"code", "message", "hint"}}`.',
            table(("code", "exit code", "HTTP status", "meaning"), rows),
        ]
    )


def _subclasses(parent: type) -> Iterator[type]:
    for child in parent.__subclasses__():
        yield child
        yield from _subclasses(child)
