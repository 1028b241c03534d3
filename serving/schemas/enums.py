"""The words that requests, replies and plays are made of, as types: one list of each, checked wherever it is used."""

from typing import Literal, TypedDict

Status = Literal["scored", "partial", "stale", "degraded"]
UnscoredReason = Literal[
    "unknown_account", "no_running_subscription", "not_in_store", "never_scored", "history_gone", "version_gone"
]
Mark = Literal["do_not_chase", "saved_watch"]
Verdict = Literal["right", "wrong", "already_known"]
Outcome = Literal["left", "stayed", "contracted"]
Sort = Literal["at_risk", "risk", "renewal"]
SuppressedReason = Literal[
    "suppressed",
    "low_risk",
    "held_out",
    "in_cooldown",
    "already_touched",
    "do_not_chase",
    "below_break_even",
    "over_capacity",
    "nothing_raises_it",
    "not_scored",
]


class SuggestedPlay(TypedDict):
    """A play for an account: what it is, and why it is or is not suggested now."""

    play: str
    family: str
    does: str
    who: str
    suggested: bool
    why_not: SuppressedReason | None
    because: str
