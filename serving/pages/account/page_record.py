"""What a page of an account carries to be rendered again: the hash of its ledger entry, and its address."""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache
from html.parser import HTMLParser
from importlib.metadata import version
from pathlib import Path

from configs.clock import format_instant
from serving.ledger.entry_hash import hash_entry
from serving.schemas.page_queries import AccountQuery
from serving.views.account_view import AccountView

META_NAME = "oarlock-record"
PAGES_FOLDER = Path(__file__).parents[1]
SOURCES = (".py", ".jinja", ".css")


@dataclass(frozen=True)
class PageRecord:
    """The hash of the entry, when it was recorded, what the address asked for, and the release that made the page."""

    account_id: str
    entry: str
    served_at: str
    as_of: str | None
    since: str
    events: str
    saved: str
    release: str
    templates: str

    @property
    def query(self) -> AccountQuery:
        """The query that the page answers."""
        fields = {"as_of": self.as_of, "since": self.since, "events": self.events, "saved": self.saved}
        return AccountQuery.model_validate({name: value for name, value in fields.items() if value})

    def to_text(self) -> str:
        """The record as the page carries it."""
        return json.dumps(asdict(self), sort_keys=True)


def describe_page(view: AccountView, saved: str | None) -> PageRecord | None:
    """The record of a page that shows a view; None without a risk."""
    if view.entry is None:
        return None
    return PageRecord(
        account_id=view.account_id,
        entry=hash_entry(view.entry),
        served_at=format_instant(view.entry.scored_at),
        as_of=view.past_day.isoformat() if view.past_day else None,
        since=view.since.isoformat(),
        events=view.timeline.family,
        saved=saved or "",
        release=version("oarlock"),
        templates=hash_templates(),
    )


def find_record(page: str) -> PageRecord | None:
    """The record that a page carries; None if it carries none."""
    reader = _MetaReader()
    reader.feed(page)
    try:
        return PageRecord(**json.loads(reader.content))
    except (ValueError, TypeError):
        return None


@cache
def hash_templates() -> str:
    """The hash of everything that decides how a page looks: templates, style sheet and the code of the pages."""
    digest = hashlib.sha256()
    for file in sorted(PAGES_FOLDER.rglob("*")):
        if file.suffix in SOURCES:
            digest.update(file.relative_to(PAGES_FOLDER).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


class _MetaReader(HTMLParser):
    """Finds the content of the page's record."""

    def __init__(self) -> None:
        super().__init__()
        self.content = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "meta" and values.get("name") == META_NAME:
            self.content = values.get("content") or ""
