"""Pages of a running service in Chromium, and what a browser complains about."""

# pyright: reportMissingImports=false
# (Playwright is an optional extra)

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request, ViewportSize

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Chromium asks hosts of its own for updates at every start; a test must not depend on them.
QUIET = ("background-networking", "component-update", "sync", "quic", "gpu")
SANDBOX = () if os.getuid() else ("--no-sandbox",)


class Appearance(TypedDict, total=False):
    """How a person looks at a page, in the words of Playwright."""

    color_scheme: str
    forced_colors: str
    viewport: "ViewportSize"
    java_script_enabled: bool


@dataclass
class Visit:
    """A page in a browser, and everything that the browser complained about since it was opened."""

    page: "Page"
    address: str
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        """Go to a path of the service, which must answer 200."""
        response = self.page.goto(self.address + path)
        assert response is not None and response.status == 200, path

    def heading(self) -> str:
        """The text of the page's main heading."""
        return self.page.locator("h1").inner_text()

    def sign_in(self, key: str) -> None:
        """Sign in at the page that asks for a key."""
        self.page.goto(f"{self.address}/sign-in?next=/")
        self.page.get_by_label("API key").fill(key)
        self.page.get_by_role("main").get_by_role("button", name="Sign in").click()
        assert "Sign in" not in self.heading()

    def note_message(self, message: "ConsoleMessage") -> None:
        """Keep an error of the console; violations of the content security policy are errors too."""
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def note_request(self, request: "Request") -> None:
        """Keep a request to another host."""
        if urlsplit(request.url).netloc != urlsplit(self.address).netloc:
            self.complaints.append(f"a request to {request.url}")


@contextmanager
def open_chromium() -> Iterator["Browser"]:
    """A headless Chromium that talks to nobody of its own accord."""
    from playwright.sync_api import sync_playwright

    switches = [*SANDBOX, *(f"--disable-{feature}" for feature in QUIET)]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=switches)
        yield browser
        browser.close()


@contextmanager
def visit(browser: "Browser", address: str, **appearance: Unpack[Appearance]) -> Iterator[Visit]:
    """A page in a session of its own; fails if the browser complained about anything."""
    context = browser.new_context(**appearance)  # type: ignore[arg-type] - the words are Playwright's own
    opened = Visit(context.new_page(), address)
    opened.page.on("console", opened.note_message)
    opened.page.on("request", opened.note_request)
    opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    yield opened
    context.close()
    assert opened.complaints == []


def downloaded(opened: Visit, link: str, folder: Path) -> Path:
    """The file that a link downloads."""
    with opened.page.expect_download() as download:
        opened.page.get_by_role("link", name=link, exact=True).click()
    file = folder / download.value.suggested_filename
    download.value.save_as(file)
    return file
