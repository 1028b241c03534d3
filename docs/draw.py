"""Draw the pictures of the documentation from the demo's results: `make demo && make docs-images`.

One is the output of `oarlock score --all` as a terminal shows it, the other a plot of the model card.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

FOLDER = Path(__file__).parent / "images"
COLUMNS = 120
COMMAND = ("oarlock", "score", "--all", "--drivers", "2")


def main() -> None:
    """Write both pictures to docs/images."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "ranked_accounts.svg").write_text(draw_terminal(run(COMMAND)), "utf-8")
    shutil.copyfile(newest_plot("calibration.png"), FOLDER / "calibration.png")


def run(command: tuple[str, ...]) -> str:
    """The output of a command in a terminal with colours."""
    environment = os.environ | {"FORCE_COLOR": "1", "COLUMNS": str(COLUMNS)}
    words = [str(Path(sys.executable).with_name(command[0])), *command[1:]]
    return subprocess.run(words, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def draw_terminal(output: str) -> str:
    """An output with ANSI colours as SVG that needs no font from elsewhere."""
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere)
        console.print(Text.from_ansi(output))
    svg = console.export_svg(title=f"$ {' '.join(COMMAND)}", theme=MONOKAI)
    return without_web_fonts(svg)


def without_web_fonts(svg: str) -> str:
    """An SVG whose style sheet loads nothing."""
    start, end = svg.index("@font-face"), svg.rindex("@font-face")
    return (svg[:start] + svg[svg.index("}", end) + 1 :]).replace("Fira Code, monospace", "monospace")


def newest_plot(name: str) -> Path:
    """The plot that the last training logged."""
    return max(
        Path(".oarlock/oarlock/mlflow/artifacts").glob(f"*/artifacts/{name}"), key=lambda path: path.stat().st_mtime
    )


if __name__ == "__main__":
    main()
