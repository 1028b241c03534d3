"""Write the generated files, the reference and notebooks; with --check only say which of them are out of date."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from docs.generate.commands import cli_page
from docs.generate.dependencies import dependencies_page
from docs.generate.errors import errors_page
from docs.generate.http_api import http_api_page
from docs.generate.notebooks import three_csv_files
from docs.generate.settings import mapping_page, settings_page
from docs.generate.tables import raw_tables_page, signals_page

ROOT = Path(__file__).parents[2]
WRITERS: dict[str, Callable[[], str]] = {
    "docs/reference/cli.md": cli_page,
    "docs/reference/dependencies.md": dependencies_page,
    "docs/reference/errors.md": errors_page,
    "docs/reference/http-api.md": http_api_page,
    "docs/reference/mapping.md": mapping_page,
    "docs/reference/raw-tables.md": raw_tables_page,
    "docs/reference/settings.md": settings_page,
    "docs/reference/signals.md": signals_page,
    "examples/three_csv_files.ipynb": three_csv_files,
}


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Write or check the files; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 if a file is out of date")
    is_check = parser.parse_args(arguments).check
    outdated = outdated_files(root)
    for name, content in outdated.items():
        if not is_check:
            (root / name).write_text(content, "utf-8")
        print(f"{name} {'is out of date: run `python -m docs.generate`' if is_check else 'is written'}.")
    return int(is_check and bool(outdated))


def outdated_files(root: Path) -> dict[str, str]:
    """The content that each file should have and has not, by name."""
    contents = {name: write() for name, write in WRITERS.items()}
    return {name: content for name, content in contents.items() if content != current_content(root / name)}


def current_content(path: Path) -> str | None:
    """What a file holds; None if it is missing."""
    return path.read_text("utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
