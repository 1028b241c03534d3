"""The notebooks of the examples, from their scripts in the percent format."""

import json
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[2] / "examples"
TITLE = " [markdown]"


def three_csv_files() -> str:
    """The example with three CSV files as a notebook."""
    return notebook((EXAMPLES / "three_csv_files.py").read_text("utf-8"))


def notebook(script: str) -> str:
    """A script whose cells begin with `# %%` or `# %% [markdown]` as a notebook without outputs."""
    cells = [_cell(number, text) for number, text in enumerate(script.split("# %%")[1:])]
    language = {"display_name": "Python 3", "language": "python", "name": "python3"}
    content = {"cells": cells, "metadata": {"kernelspec": language}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _cell(number: int, text: str) -> dict[str, Any]:
    title, _, body = text.partition("\n")
    if title != TITLE:
        code = {"cell_type": "code", "execution_count": None, "outputs": []}
        return {**code, "id": f"cell-{number}", "metadata": {}, "source": body.strip().splitlines(keepends=True)}
    lines = [line.removeprefix("#").removeprefix(" ") for line in body.strip().splitlines(keepends=True)]
    return {"cell_type": "markdown", "id": f"cell-{number}", "metadata": {}, "source": lines}
