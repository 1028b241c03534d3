"""Verifies a page of an account: renders it again from its ledger entry, and says what differs.

While the signals and the model that it shows are still published, all of it is rendered again, and compared byte for
byte. Later only what the ledger holds can be: the record on the page, the risk in its first sentence and the waterfall.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from html import unescape
from typing import Literal

from configs.clock import parse_instant
from configs.errors import RequestError
from serving.handlers.context import ServiceContext
from serving.ledger.entry_hash import hash_entry
from serving.ledger.reader import LedgerEntry
from serving.pages.account.account_page import account_page_values, record_values
from serving.pages.account.page_record import PageRecord, find_record, hash_templates
from serving.pages.account.risk_steps import risk_waterfall
from serving.pages.formats import format_percent, format_tenths
from serving.pages.rendering import PageFrame, render, render_offline
from serving.views.account_view import AccountView, view_again

Status = Literal["same", "differs", "not in the ledger", "other release", "replaced since"]
MAIN = re.compile(r'<main id="main">.*</main>', re.DOTALL)
RECORD = re.compile(r'<section class="card" aria-labelledby="record">.*?</section>', re.DOTALL)
STEP = re.compile(r'<span class="label">([^<]*)</span><svg.*?</svg><b>([^<]*)</b>', re.DOTALL)
MADE_OF = re.compile(r'aria-labelledby="made-of">.*?<details class="twin">', re.DOTALL)
HEADING = re.compile(r"<h[12][^>]*>(.*?)</h[12]>", re.DOTALL)
FORM_TOKEN = re.compile(r'name="form_token" value="([^"]*)"')
RISK = re.compile(r"a risk of ([\d.]+\s%)")
TAGS = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class Difference:
    """What a page says in a section, and what the ledger makes of it."""

    section: str
    page: str
    ledger: str


@dataclass(frozen=True)
class PageVerification:
    """Whether a page says what the ledger holds; `entry` is None if the ledger does not hold it."""

    status: Status
    record: PageRecord
    entry: LedgerEntry | None = None
    differences: list[Difference] = field(default_factory=list[Difference])


def verify_page(context: ServiceContext, page: str) -> PageVerification:
    """Render a page again; raises RequestError if it carries no ledger entry."""
    record = find_record(page)
    if record is None:
        hint = "Verify a page of an account, or a file that `oarlock report account` wrote."
        raise RequestError("The file carries no ledger entry.", hint, code="no_record", status=422)
    entry = _find_entry(context, record)
    if entry is None:
        return PageVerification("not in the ledger", record)
    if record.templates != hash_templates():
        return PageVerification("other release", record, entry)
    view = view_again(context, entry, record.query)
    if view is None:
        differences = list(_compare_with_entry(page, entry, record))
        return PageVerification("differs" if differences else "replaced since", record, entry, differences)
    expected = _render_again(view, page, record, context.champions.champion().warning)
    shown = page if _is_offline(page) else _main(page)
    if shown == expected:
        return PageVerification("same", record, entry)
    differences = list(find_differences(shown, expected)) or [Difference("Whole page", "other line ends", "line feeds")]
    return PageVerification("differs", record, entry, differences)


def find_differences(page: str, expected: str) -> Iterator[Difference]:
    """The parts of lines that differ, with the section that they are in."""
    shown, lines = page.splitlines(), expected.splitlines()
    for kind, first, last, low, high in SequenceMatcher(None, shown, lines, autojunk=False).get_opcodes():
        if kind != "equal":
            yield _describe(_section_at(lines, low), "\n".join(shown[first:last]), "\n".join(lines[low:high]))


def _find_entry(context: ServiceContext, record: PageRecord) -> LedgerEntry | None:
    try:
        served_at = parse_instant(record.served_at)
    except ValueError:
        return None
    entries = context.ledger_reader.recorded_at(record.account_id, served_at)
    return next((entry for entry in entries if hash_entry(entry) == record.entry), None)


def _render_again(view: AccountView, page: str, record: PageRecord, warning: str | None) -> str:
    """The whole file of a report; of a page of the service what is between its frame, with its form's token."""
    values = account_page_values(view, record.saved or None)
    if _is_offline(page):
        return render_offline("account.html.jinja", values, warning=warning)
    token = FORM_TOKEN.search(_main(page))
    frame = PageFrame("", form_token=unescape(token[1]) if token else "", may_write=token is not None)
    return _main(render("account.html.jinja", frame, {"system": None, **values}))


def _is_offline(page: str) -> bool:
    return "<nav" not in page


def _main(page: str) -> str:
    match = MAIN.search(page)
    return match[0] if match else ""


def _compare_with_entry(page: str, entry: LedgerEntry, record: PageRecord) -> Iterator[Difference]:
    """What the page says of the entry alone: its record, the risk in the first sentence, and the waterfall."""
    expected = render("record.html.jinja", PageFrame("", is_offline=True), record_values(entry, record)).strip()
    shown = RECORD.search(page)
    yield from find_differences(shown[0] if shown else "", expected)
    risk, sentence = format_percent(entry.risk), RISK.search(page)
    if not sentence or sentence[1] != risk:
        yield Difference("First sentence", sentence[1] if sentence else "no risk", risk)
    steps = _waterfall_steps(entry)
    made_of = MADE_OF.search(page)
    listed = [(unescape(label), text) for label, text in STEP.findall(made_of[0])] if made_of else []
    for (label, points), (shown_label, text) in zip(steps, [*listed, *[("", "")] * len(steps)], strict=False):
        if (label, points) != (shown_label, text):
            yield Difference("What the risk is made of", f"{shown_label} {text}".strip(), f"{label} {points}")


def _waterfall_steps(entry: LedgerEntry) -> list[tuple[str, str]]:
    waterfall = risk_waterfall(entry.score)
    assert waterfall is not None
    scale, decimals = 10**waterfall.decimals, waterfall.decimals
    return [
        (
            step.label,
            f"{step.points / scale:.{decimals}f} %" if step.is_sum else format_tenths(step.points, decimals),
        )
        for step in waterfall.steps
    ]


def _section_at(lines: list[str], index: int) -> str:
    """The last heading before or on a line."""
    headings = HEADING.findall("\n".join(lines[: index + 1]))
    return _text(headings[-1]) if headings else "Head of the page"


def _describe(section: str, page: str, expected: str) -> Difference:
    """The words that differ; the markup around them if the words are the same."""
    shown, correct = _text(page), _text(expected)
    if shown == correct:
        shown, correct = page, expected
    words, other = shown.split(), correct.split()
    start = _count_equal(words, other)
    end = _count_equal(words[start:][::-1], other[start:][::-1])
    first, second = (" ".join(text[start : len(text) - end]) for text in (words, other))
    return Difference(section, first or "nothing", second or "nothing")


def _count_equal(words: list[str], other: list[str]) -> int:
    """How many words are the same from the start on."""
    pairs = enumerate(zip(words, other, strict=False))
    return next((index for index, (word, second) in pairs if word != second), min(len(words), len(other)))


def _text(markup: str) -> str:
    return " ".join(unescape(TAGS.sub(" ", markup)).split())
