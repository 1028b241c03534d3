"""One event of an account, and which events are shown as one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from features.store.events.event_words import BEGAN, ENDED, EventFamily


@dataclass(frozen=True)
class AccountEvent:
    """Something that happened at an instant (UTC), and whether the timeline of a risk marks it."""

    at: datetime
    family: EventFamily
    text: str
    is_marked: bool


def join_renewals(events: Sequence[AccountEvent]) -> list[AccountEvent]:
    """The events with a period that ends as the next one of its plan begins as one: a renewal.

    >>> day = datetime(2026, 7, 1)
    >>> texts = ["pro began: 90 a month", "pro ended", "team ended"]
    >>> [event.text for event in join_renewals([AccountEvent(day, "contract", text, True) for text in texts])]
    ['pro renewed: 90 a month', 'team ended']
    """
    began = {(event.at, event.text.partition(BEGAN)[0]) for event in events if BEGAN in event.text}
    ended = {(event.at, event.text.removesuffix(ENDED)) for event in events if event.text.endswith(ENDED)}
    joined: list[AccountEvent] = []
    for event in events:
        plan, separator, terms = event.text.partition(BEGAN)
        if separator and (event.at, plan) in ended:
            joined.append(replace(event, text=f"{plan} renewed:{terms}"))
        elif not (event.text.endswith(ENDED) and (event.at, event.text.removesuffix(ENDED)) in began):
            joined.append(event)
    return joined
