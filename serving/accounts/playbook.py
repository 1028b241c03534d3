"""The playbook: what to do about a driver, and when an account is better left alone.

A play fits by family, band, segment, stage and the signal that leads the family; of those that fit, the one that names
most is taken. Nobody is contacted without a reason: every play comes with why it is, or is not, suggested now.
"""

import math
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from configs.bands import Band
from configs.errors import ConfigError
from configs.settings import Days, describe_validation_error
from features.store.account_table import AccountDetails, Stage
from serving.schemas.enums import SuggestedPlay, SuppressedReason

PlayName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Sentence = Annotated[str, StringConstraints(min_length=10)]


class Play(BaseModel):
    """One play; what is left out of `bands`, `segments`, `stages` and `signals` fits always."""

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
    def always_fits(self) -> bool:
        return not (self.bands or self.segments or self.stages or self.signals)

    @property
    def named(self) -> tuple[bool, ...]:
        """What it names, the most telling first."""
        return bool(self.signals), bool(self.stages), bool(self.segments), bool(self.bands)


class Playbook(BaseModel):
    """Every play of a company."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    play: Annotated[tuple[Play, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_each_once(self) -> "Playbook":
        names = [one.name for one in self.play]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the play '{twice[0]}' is there more than once")
        return self


@dataclass(frozen=True)
class PlayContext:
    """What a play is chosen by: a driver's family, the signal that leads it, and where the account stands."""

    family: str
    signal: str
    band: Band
    segment: str | None
    stage: Stage


@dataclass(frozen=True)
class ContactLimits:
    """When an account is left alone: touched within so many days, or marked by people."""

    touched_within_days: int
    marked: str | None = None


def read_playbook(path: Path) -> Playbook:
    """The playbook in this file; raises ConfigError where it is missing or says something it cannot."""
    try:
        return Playbook(**tomllib.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise ConfigError(f"There is no playbook {path}.", "Set `playbook` to one, or leave it out.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{path} is not valid TOML: {problem}.", "Mend that line.") from None
    except ValidationError as problem:
        raise ConfigError(
            f"{path}: {describe_validation_error(problem)}.", "Compare with configs/playbook.toml."
        ) from None


def validate_playbook(
    playbook: Playbook, path: Path, families: Iterable[str], signals: Iterable[str] | None = None
) -> None:
    """Raise ConfigError where a family has no play that always fits, or a play names a signal that nobody declares."""
    without = [f for f in families if not any(f in one.families and one.always_fits for one in playbook.play)]
    if without:
        message = f"{path}: the family '{without[0]}' has no play that always fits."
        raise ConfigError(message, "Add a [[play]] that names no band, segment, stage or signal.")
    known = None if signals is None else set(signals)
    for one in playbook.play:
        strange = [name for name in one.signals if known is not None and name not in known]
        if strange:
            message = f"{path}: the play '{one.name}' names '{strange[0]}', which is no signal."
            raise ConfigError(message, "`oarlock signals` lists them.")


def choose_play(playbook: Playbook, case: PlayContext) -> Play:
    """The play that fits best; the first of equals. Raises ConfigError for a family without one."""
    fitting = [one for one in playbook.play if _fits(one, case)]
    if not fitting:
        raise ConfigError(
            f"The playbook has no play for the family '{case.family}'.", "Add one; see `oarlock validate`."
        )
    return max(fitting, key=lambda one: (sum(one.named), one.named))


def suggest_play(
    playbook: Playbook, score: dict[str, Any], about: AccountDetails, restraint: ContactLimits
) -> SuggestedPlay | None:
    """What to do about the family that raises a scored account's risk most; None where nothing raises it.

    `score` is an account of a reply with its drivers, seen from its `signals_as_of`.
    """
    if not score["drivers"]:
        return None
    main = score["drivers"][0]
    leading = max(main["signals"], key=lambda one: one["points"])
    play = choose_play(
        playbook, PlayContext(main["family"], leading["name"], score["band"], about.segment, about.stage)
    )
    seen_from = datetime.fromisoformat(score["signals_as_of"])
    why_not, because = next(_reasons_not(play, score["band"], about, restraint, seen_from), (None, ""))
    return {
        "play": play.name,
        "family": main["family"],
        "does": play.action,
        "who": play.assignee_role,
        "suggested": why_not is None,
        "why_not": why_not,
        "because": because or f"{main['text']} adds {main['points'] * 100:.1f} points",
    }


def _fits(one: Play, case: PlayContext) -> bool:
    return (
        case.family in one.families
        and _names(one.bands, case.band)
        and _names(one.stages, case.stage)
        and _names(one.segments, case.segment)
        and _names(one.signals, case.signal)
    )


def _names(wanted: Sequence[str], it: str | None) -> bool:
    return not wanted or it in wanted


def _reasons_not(
    play: Play, band: str, about: AccountDetails, restraint: ContactLimits, seen_from: datetime
) -> Iterator[tuple[SuppressedReason, str]]:
    """Every reason to leave an account alone, with its words; the most binding first."""
    if restraint.marked == "do_not_chase":
        yield "do_not_chase", "people marked this account as one not to chase"
    if play.suppressed:
        yield "suppressed", play.suppressed
    if band == "low":
        yield "low_risk", "its risk is low: a contact would have no reason"
    since_play = _days_since(about.play_at, seen_from)
    if since_play < play.cooldown_days and about.held_out:
        yield "held_out", f"held out of '{about.play}' {since_play:.0f} days ago, to learn what plays do"
    elif since_play < play.cooldown_days and about.play == play.name:
        yield "in_cooldown", f"'{play.name}' began {since_play:.0f} days ago and rests for {play.cooldown_days}"
    since_touch = _days_since(about.touched_at, seen_from)
    if since_touch < restraint.touched_within_days:
        yield "already_touched", f"somebody was in touch {since_touch:.0f} days ago"


def _days_since(instant: datetime | None, until: datetime) -> float:
    return math.inf if instant is None else max((until - instant) // timedelta(days=1), 0)
