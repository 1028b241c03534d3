"""Renders templates: every value is escaped, and a name that a template does not know is an error."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.pages import formats
from serving.pages.trend_text import DEFINITION, TEXTS, USAGE_DEFINITION, USAGE_TEXTS

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent
STYLE_FILE = FOLDER / "style.css"
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#2f6f8f" stroke-width="2.5"'
    ' stroke-linecap="round"><path d="M7 3v9a5 5 0 0 0 10 0V3"/><path d="M12 17v4"/></svg>'
)
NAVIGATION = (
    ("/", "Portfolio"),
    ("/work-list", "Work list"),
    ("/disagreements", "Disagreements"),
    ("/retention", "Retention"),
    ("/model", "Model"),
    ("/monitoring", "Monitoring"),
)


@dataclass(frozen=True)
class PageFrame:
    """What surrounds a page: its path, who is signed in, the token of its forms, and whether feedback may be given.

    `is_offline` is for a file: it has its style inside, no navigation and no forms. It says the `warning` of the model,
    which other pages say in the state of the system.
    """

    path: str
    signed_in_as: str | None = None
    form_token: str = ""
    may_write: bool = False
    is_offline: bool = False
    warning: str | None = None


def render(template: str, frame: PageFrame, values: Mapping[str, object]) -> str:
    """A page from a template in `templates/`."""
    return _environment().get_template(template).render(frame=frame, **values)


def render_offline(template: str, values: Mapping[str, object], *, warning: str | None = None) -> str:
    """A page as one file: with its style inside, and without navigation, forms and links."""
    return render(template, PageFrame("", is_offline=True, warning=warning), {"system": None, **values})


@cache
def read_style() -> str:
    """The style sheet."""
    return STYLE_FILE.read_text("utf-8")


@cache
def style_path() -> str:
    """The address of the style sheet, which changes with its content."""
    return f"/style.css?v={hashlib.sha256(read_style().encode()).hexdigest()[:12]}"


@cache
def style_hash() -> str:
    """The hash by which the policy of an offline page allows its style sheet, and nothing else."""
    return base64.b64encode(hashlib.sha256(read_style().encode()).digest()).decode()


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context  # only who opens a page needs it
    from jinja2.runtime import Context

    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= formats.FILTERS

    def of_page(format_text: Callable[[Any, str | None], str]) -> Callable[[Context, Any], str]:
        """A filter that writes the currency of its page."""
        return pass_context(lambda page, value: format_text(value, page["currency"]))

    environment.filters |= {name: of_page(format_text) for name, format_text in formats.IN_CURRENCY.items()}
    environment.globals |= {
        "navigation": NAVIGATION,
        "style_path": style_path,
        "style": read_style,
        "style_hash": style_hash,
        "trend_texts": TEXTS,
        "trend_definition": DEFINITION,
        "usage_trend_texts": USAGE_TEXTS,
        "usage_trend_definition": USAGE_DEFINITION,
    }
    return environment
