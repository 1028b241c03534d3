"""The sentences that answer, for one account: who it is, why it is flagged, whether that is new, and how sure it is."""

from collections.abc import Iterator, Sequence

from features.signals.base import family_label
from serving.pages.formats import format_day, format_percent
from serving.schemas.responses import Driver
from serving.scoring.driver_text import find_main_driver, find_standout
from serving.scoring.scores import MIN_NAMED_POINTS
from serving.views.account_view import AccountView

REASONS = {
    "no_running_subscription": "It had no running subscription when signals were last published.",
    "not_in_store": "It is published, but the online store has no signals of it.",
    "unknown_account": "It was scored before, and is not published any more.",
    "never_scored": "No risk of it was ever served.",
}
NO_REASON = "It has no risk now."


def answer_account(view: AccountView) -> str:
    """The account and its risk, among its peers."""
    name = display_name(view)
    if view.score is None:
        return f"{name} has no risk."
    horizon = f" within {view.horizon_days} days" if view.horizon_days else ""
    verb = "had" if view.past_day else "has"
    text = f"{name} {verb} a risk of {format_percent(view.score['risk'])} to leave{horizon}"
    if view.percentile is None or not view.details:
        return f"{text}."
    whose = "your" if view.is_limited else "the"
    segment = f" of segment {view.details.segment}" if view.details.segment else ""
    peers = f"{view.peer_count:,} accounts{segment}"
    return f"{text}, above {int(view.percentile)}\u00a0% of {whose} {peers}."


def explain_account(view: AccountView) -> list[str]:
    """Why, whether it is new, how sure that is, and what to do: a sentence each."""
    if view.score is None:
        return [REASONS.get(view.reason or "", NO_REASON)]
    return [*_why(view), *_is_new(view), *_how_sure(view), *_what_to_do(view)]


def display_name(view: AccountView) -> str:
    """The account's name, or its id."""
    return (view.details and view.details.name) or view.account_id


def _why(view: AccountView) -> Iterator[str]:
    assert view.score is not None
    drivers, base = view.score["drivers"], format_percent(view.score["base"])
    if not find_main_driver(drivers):
        yield f"Nothing raises its risk above the base of {base} by a tenth of a point or more."
    elif view.score["main_reason"]:
        main = next((driver for driver in drivers if driver["family"] == view.score["main_reason"]), drivers[0])
        yield f"The main reason: {main['text']}."
    else:
        yield _name_reasons([driver for driver in drivers if driver["points"] >= MIN_NAMED_POINTS])


def _name_reasons(drivers: Sequence[Driver]) -> str:
    """The first reasons that differ from what is typical of similar accounts."""
    reasons = [driver["text"] for driver in drivers if find_standout(driver)]
    if not reasons:
        return "Nothing stands out: what raises its risk is typical of similar accounts."
    if len(drivers) == 1:
        return f"What raises it: {reasons[0]}."
    if len(reasons) == 1:
        return f"No single reason leads clearly. What stands out: {reasons[0]}."
    return f"No single reason leads clearly. The first: {reasons[0]}. The second: {reasons[1]}."


def _is_new(view: AccountView) -> Iterator[str]:
    standing = view.standing
    assert view.score is not None
    if standing is None:
        return
    if standing.since is None:
        yield "It is new: no earlier risk of it was served."
    elif standing.before is None:
        start = "at least" if standing.may_be_longer else "its first served risk, of"
        yield f"Not new: it has been {standing.band} since {start} {format_day(standing.since)}."
    elif f"{standing.since:%Y-%m-%d}" == view.score["signals_as_of"][:10]:
        yield f"New: it is {standing.band} now; when it was served last it was {standing.before}."
    else:
        yield f"It has been {standing.band} since {format_day(standing.since)}; before that it was {standing.before}."


def _what_to_do(view: AccountView) -> Iterator[str]:
    if view.play and view.play["suggested"]:
        yield f"What to do: {view.play['action']}"
    elif view.play:
        yield f"Leave it alone for now: {view.play['rationale']}."


def _how_sure(view: AccountView) -> Iterator[str]:
    assert view.score is not None
    if view.score["main_reason"]:
        yield "That reason is stable: it stays the main one when the model is refitted on other accounts."
    interval = view.evidence.interval if view.evidence else None
    if interval:
        low, high = interval.main
        yield (
            f"Fitted on other accounts of yours, the model would say {format_percent(low)} to {format_percent(high)}"
            f" (95\u00a0% interval, from {interval.refits} refits on resampled accounts)."
        )
    missing, stale = (view.score[name] for name in ("missing_families", "stale_families"))
    if missing:
        yield f"Less sure: nothing is known of {_join(missing)}."
    if stale:
        yield f"Less sure: the signals of {_join(stale)} are too old."


def _join(families: list[str]) -> str:
    *others, last = map(family_label, families)
    return f"{', '.join(others)} and {last}" if others else last
