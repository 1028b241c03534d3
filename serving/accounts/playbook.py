"""The playbook: what to do about a driver, and when to leave an account alone.

A play applies by family, band, segment, stage and the signal that leads the family. Of the plays that apply, the one
with the most specific conditions is chosen. Each suggestion comes with the reason why it is suggested now, or is not.
"""

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from configs.clock import parse_instant
from configs.errors import ConfigError
from configs.sections.bands import Band
from configs.sections.section import Days
from configs.validation import TomlFormat
from features.store.account_table import AccountDetails, Stage
from serving.schemas.enums import SuppressedReason
from serving.schemas.responses import Driver, Score, SuggestedPlay
from serving.scoring.driver_text import find_main_driver, find_standout

PLAYBOOK_FILE = TomlFormat(
    name="playbook",
    if_missing="Correct `playbook`, or leave it out.",
    if_invalid="Compare with configs/playbook.toml.",
)
PlayName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Sentence = Annotated[str, StringConstraints(min_length=10)]


class Play(BaseModel):
    """One play. Without `bands`, `segments`, `stages` and `signals` it always applies to its families."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: PlayName
    families: Annotated[tuple[str, ...], Field(min_length=1)]
    action: Sentence
    assignee_role: Annotated[str, StringConstraints(min_length=1)]
    cooldown_days: Days = 30
    bands: tuple[Band, ...] = ()
    segments: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    signals: tuple[str, ...] = ()
    suppressed: str = ""

    @property
    def has_no_conditions(self) -> bool:
        return not any(self.conditions)

    @property
    def conditions(self) -> tuple[bool, ...]:
        """Which conditions it has, the most specific first."""
        return bool(self.signals), bool(self.stages), bool(self.segments), bool(self.bands)


class Playbook(BaseModel):
    """Every play of a company."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    play: Annotated[tuple[Play, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _has_unique_names(self) -> "Playbook":
        names = [play.name for play in self.play]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"the play '{repeated[0]}' is defined more than once")
        return self


@dataclass(frozen=True)
class PlayContext:
    """What a play is chosen by: a driver's family, the signal that stands out, and facts about the account."""

    family: str
    signal: str | None
    band: Band
    segment: str | None
    stage: Stage | None


@dataclass(frozen=True)
class ContactLimits:
    """When an account is left alone: contacted within so many days, or marked by people."""

    touched_within_days: int
    mark: str | None = None


def read_playbook(path: Path) -> Playbook:
    """The playbook in a file; raises ConfigError if it is missing or not valid."""
    return PLAYBOOK_FILE.read(path, Playbook)


def validate_playbook(
    playbook: Playbook, path: Path, families: Iterable[str], signals: Collection[str] | None = None
) -> None:
    """Raise ConfigError if a family has no play without conditions, or a play names an unknown signal."""
    covered = {family for play in playbook.play if play.has_no_conditions for family in play.families}
    uncovered = [family for family in families if family not in covered]
    if uncovered:
        message = f"{path}: the family '{uncovered[0]}' has no play without conditions."
        raise ConfigError(message, "Add a [[play]] that names no band, segment, stage or signal.")
    for play in playbook.play:
        unknown = [name for name in play.signals if signals is not None and name not in signals]
        if unknown:
            message = f"{path}: the play '{play.name}' names the unknown signal '{unknown[0]}'."
            raise ConfigError(message, "`oarlock signals` lists them.")


def choose_play(playbook: Playbook, context: PlayContext) -> Play:
    """The most specific play that applies; the first if equal. Raises ConfigError for a family without one."""
    plays = [play for play in playbook.play if _applies(play, context)]
    if not plays:
        message = f"The playbook has no play for the family '{context.family}'."
        raise ConfigError(message, "Add one, and check it with `oarlock validate`.")
    return max(plays, key=lambda play: (sum(play.conditions), play.conditions))


def suggest_play(
    playbook: Playbook, score: Score, account: AccountDetails, limits: ContactLimits
) -> SuggestedPlay | None:
    """What to do about the family that raises an account's risk most; None if none raises it by a tenth of a point.

    `score` is the account's part of a response, with its drivers. Days are counted up to its `signals_as_of`.
    """
    driver = find_main_driver(score["drivers"])
    if driver is None:
        return None
    signal = find_standout(driver)
    name = signal["name"] if signal else None
    play = choose_play(playbook, PlayContext(driver["family"], name, score["band"], account.segment, account.stage))
    at = parse_instant(score["signals_as_of"])
    reasons = _suppressions(play, score["band"], account, limits, at)
    suppressed_reason, rationale = next(reasons, (None, _rationale(driver)))
    return {
        "play": play.name,
        "family": driver["family"],
        "action": play.action,
        "assignee_role": play.assignee_role,
        "suggested": suppressed_reason is None,
        "suppressed_reason": suppressed_reason,
        "rationale": rationale,
    }


def _rationale(driver: Driver) -> str:
    points = f"{driver['points'] * 100:.1f} points"
    return f"{driver['text']}: {points}" if find_standout(driver) else f"{driver['text']}; all of it makes {points}"


def _applies(play: Play, context: PlayContext) -> bool:
    conditions = (
        (play.bands, context.band),
        (play.stages, context.stage),
        (play.segments, context.segment),
        (play.signals, context.signal),
    )
    return context.family in play.families and all(not allowed or value in allowed for allowed, value in conditions)


def _suppressions(
    play: Play, band: Band, account: AccountDetails, limits: ContactLimits, at: datetime
) -> Iterator[tuple[SuppressedReason, str]]:
    """Every reason to leave an account alone, in words too; the strongest first."""
    if limits.mark == "do_not_chase":
        yield "do_not_chase", "somebody marked this account as do_not_chase"
    if play.suppressed:
        yield "suppressed", play.suppressed
    if band == "low":
        yield "low_risk", "its risk is low"
    play_days = _days_between(account.play_at, at)
    if play_days < play.cooldown_days and account.held_out:
        yield "held_out", f"it was assigned to the holdout of '{account.play}' {_days_ago(play_days)}"
    elif play_days < play.cooldown_days and account.play == play.name:
        yield "in_cooldown", f"'{play.name}' started {_days_ago(play_days)}; its cooldown is {play.cooldown_days} days"
    touch_days = _days_between(account.touched_at, at)
    if touch_days < limits.touched_within_days:
        yield "already_touched", f"it was contacted {_days_ago(touch_days)}"


def _days_between(instant: datetime | None, until: datetime) -> float:
    return math.inf if instant is None else max((until - instant) // timedelta(days=1), 0)


def _days_ago(days: float) -> str:
    """
    >>> _days_ago(0), _days_ago(1), _days_ago(5)
    ('today', 'yesterday', '5 days ago')
    """
    return {0: "today", 1: "yesterday"}.get(int(days), f"{days:.0f} days ago")
