"""The projects in examples/: they run to their end, from the script and from the notebook."""

import json

import pytest

from tests.support.doc_shell import DocShell

NAME = "examples/three_csv_files"


@pytest.mark.examples
def test_three_csv_files_become_a_scored_account(shell: DocShell):
    script = shell.run(f"python {NAME}.py")
    assert (script.exit_code, "= the base + its families" in script.output) == (0, True), script.output
    cells = json.loads((shell.folder / f"{NAME}.ipynb").read_text("utf-8"))["cells"]
    code = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    (shell.folder / "notebook.py").write_text(code)
    notebook = shell.run("python notebook.py")
    assert (notebook.exit_code, notebook.output.splitlines()[-30:]) == (0, script.output.splitlines()[-30:])
