"""Draw the pictures of the documentation from the demo's results: `make demo && make docs-images`.

They are the output of `oarlock score --all` as a terminal shows it, a plot of the model card, and three pages of the
service. The pages need Chromium and the packages of `requirements-browser.lock`.
"""

# pyright: reportMissingImports=false
# (Playwright is in requirements-browser.lock only)

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

FOLDER = Path(__file__).parent / "images"
COLUMNS = 120
COMMAND = ("oarlock", "score", "--all", "--drivers", "2")
ADDRESS = "http://127.0.0.1:3017"
PAGES = {"portfolio_page": "/", "account_page": "/accounts/A0000156", "retention_page": "/retention"}
WIDTH, HEIGHT = 1280, 900
START_SECONDS = 60


def main() -> None:
    """Write the pictures to docs/images."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "ranked_accounts.svg").write_text(draw_terminal(run(COMMAND)), "utf-8")
    shutil.copyfile(newest_plot("calibration.png"), FOLDER / "calibration.png")
    with running_service():
        draw_pages()


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


@contextmanager
def running_service() -> Iterator[None]:
    """`oarlock serve` while the block runs, from when it is ready."""
    words = [str(Path(sys.executable).with_name("oarlock")), "serve", "--port", ADDRESS.rpartition(":")[2]]
    service = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _is_ready():
            if time.monotonic() > deadline:
                raise TimeoutError(f"The service was not ready after {START_SECONDS} seconds.")
            time.sleep(0.2)
        yield
    finally:
        service.terminate()
        service.wait()


def _is_ready() -> bool:
    try:
        return httpx.get(f"{ADDRESS}/v1/ready").is_success
    except httpx.TransportError:
        return False


def draw_pages() -> None:
    """Take a picture of each page as a browser shows it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        for name, path in PAGES.items():
            page.goto(f"{ADDRESS}{path}", wait_until="networkidle")
            page.screenshot(path=FOLDER / f"{name}.png")
        browser.close()


def newest_plot(name: str) -> Path:
    """The plot that the last training logged."""
    return max(
        Path(".oarlock/oarlock/mlflow/artifacts").glob(f"*/artifacts/{name}"), key=lambda path: path.stat().st_mtime
    )


if __name__ == "__main__":
    main()
