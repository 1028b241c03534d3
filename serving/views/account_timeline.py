"""What happened to an account, from the raw tables as they were known, and the feedback on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from configs.errors import OarlockError
from features.store.events.account_event import AccountEvent
from features.store.publication import read_publication
from serving.handlers.context import ServiceContext

SHOWN_EVENTS = 40


@dataclass(frozen=True)
class AccountTimeline:
    """The events of a family, or all, newest first, of which the first are shown; `fault` is why there are none.

    `marks` are the events that the history of the risk marks, and the feedback. `families` counts the events by family.
    """

    shown: Sequence[AccountEvent]
    total: int
    family: str
    families: dict[str, int]
    marks: Sequence[tuple[datetime, str]]
    fault: str = ""


def read_timeline(context: ServiceContext, account_id: str, as_of: datetime, family: str) -> AccountTimeline:
    """What was known of an account before an instant."""
    feedback = context.feedback.feedback_on(account_id, as_of)
    try:
        version = read_publication(context.state)["content_version"]
        events = context.events.read(account_id, as_of, version)
    except OarlockError as error:
        return AccountTimeline((), 0, family, {}, feedback, f"{error.message} {error.hint}".strip())
    families: dict[str, int] = {}
    for event in events:
        families[event.family] = families.get(event.family, 0) + 1
    matching = [event for event in events if family in ("", event.family)]
    marks = [(event.at, event.text) for event in events if event.is_marked]
    return AccountTimeline(matching[:SHOWN_EVENTS], len(matching), family, families, sorted([*marks, *feedback]))
