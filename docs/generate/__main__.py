"""Write the generated pages of docs/reference from the code; with --check only say which of them are out of date."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from docs.generate.commands import cli_page
from docs.generate.errors import errors_page
from docs.generate.http_api import http_api_page
from docs.generate.settings import settings_page
from docs.generate.tables import raw_tables_page, signals_page

FOLDER = Path(__file__).parents[1] / "reference"
PAGES: dict[str, Callable[[], str]] = {
    "cli.md": cli_page,
    "errors.md": errors_page,
    "http-api.md": http_api_page,
    "raw-tables.md": raw_tables_page,
    "settings.md": settings_page,
    "signals.md": signals_page,
}


def main(arguments: list[str] | None = None) -> int:
    """Write or check the pages; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 if a page is out of date")
    is_check = parser.parse_args(arguments).check
    outdated = outdated_pages()
    for name, content in outdated.items():
        if not is_check:
            (FOLDER / name).write_text(content, "utf-8")
        state = "is out of date: run `python -m docs.generate`" if is_check else "is written"
        print(f"docs/reference/{name} {state}.")
    return int(is_check and bool(outdated))


def outdated_pages() -> dict[str, str]:
    """The content that each page should have and has not, by file name."""
    contents = {name: write() for name, write in PAGES.items()}
    return {name: content for name, content in contents.items() if content != current_content(name)}


def current_content(name: str) -> str | None:
    """What a page holds; None if it is missing."""
    path = FOLDER / name
    return path.read_text("utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
