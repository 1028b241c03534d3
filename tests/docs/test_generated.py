"""The generated files: they are those that the code gives."""

import json
from pathlib import Path

import pytest

from docs.generate.__main__ import ROOT, WRITERS, current_content, main
from docs.generate.notebooks import notebook


@pytest.mark.parametrize("name", WRITERS)
def test_a_generated_file_is_up_to_date(name: str):
    assert current_content(ROOT / name) == WRITERS[name](), "run `python -m docs.generate`"


def test_the_check_fails_for_files_that_are_missing_and_writes_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["--check"], tmp_path) == 1
    assert "docs/reference/cli.md is out of date" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_a_script_becomes_a_notebook_of_its_cells():
    cells = json.loads(notebook("# %% [markdown]\n# # Title\n#\n# Text.\n\n# %%\nprint(1)\n"))["cells"]
    assert [(cell["cell_type"], "".join(cell["source"])) for cell in cells] == [
        ("markdown", "# Title\n\nText."),
        ("code", "print(1)"),
    ]
