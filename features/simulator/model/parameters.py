"""The parameters of a simulated company: its size, rates, treatment policy and known shifts."""

import dataclasses
import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from configs.errors import ConfigError

ShiftKind = Literal["covariate", "relation", "stops", "doubles", "nulls", "price", "season"]
SOURCE_FAULTS: tuple[ShiftKind, ...] = ("stops", "doubles", "nulls")
BREAKABLE_TABLES = ("usage", "tickets", "invoices", "surveys", "touches")


@dataclass(frozen=True)
class Shift:
    """One known change at the start of a month, counted from 0.

    - covariate: usage counts grow by the share `strength`; nothing else changes;
    - relation: adoption loses the share `strength` of its weight on the hazard, relationship and support gain it;
    - stops, doubles, nulls: the source of `table` fails from then on;
    - price: list prices rise by the share `strength` at each next renewal and raise the hazard for a year;
    - season: the logit of the hazard varies by +-`strength` over each year, and usage varies in the opposite direction.
    """

    kind: ShiftKind
    month: int
    strength: float = 0.5
    table: str = "usage"

    def __post_init__(self) -> None:
        if self.kind not in get_args(ShiftKind):
            raise ConfigError(
                f"There is no shift called {self.kind!r}.", f"Choose one of {', '.join(get_args(ShiftKind))}."
            )
        if self.kind in SOURCE_FAULTS and self.table not in BREAKABLE_TABLES:
            raise ConfigError(
                f"The table {self.table!r} cannot be broken.", f"Choose one of {', '.join(BREAKABLE_TABLES)}."
            )
        if self.month < 0 or self.strength < 0:
            raise ConfigError(
                f"A shift needs a month and a strength of 0 or more, not {self.month} and {self.strength}."
            )


def _effects() -> dict[str, float]:
    """The share of a family's logit part that a play removes: people are easier to win back than money."""
    return {
        "adoption": 0.5,
        "value": 0.4,
        "support": 0.6,
        "relationship": 0.5,
        "billing": 0.3,
        "onboarding": 0.6,
        "engagement": 0.7,
    }


@dataclass(frozen=True)
class Policy:
    """Which share of the accounts with an open cause gets a play each month, and with what true effect."""

    treated_share: float = 0.15  # a team reaches only a few accounts each month
    holdout_share: float = 0.20  # large enough that a year of plays measures the effect
    weeks: int = 12  # a play lasts a quarter
    effects: Mapping[str, float] = field(default_factory=_effects)

    def __post_init__(self) -> None:
        for share in (self.treated_share, self.holdout_share, *self.effects.values()):
            if not 0 <= share <= 1:
                raise ConfigError(f"A share of the policy must be between 0 and 1, not {share}.")
        if not 1 <= self.weeks <= 100:
            raise ConfigError(f"A play runs for 1 to 100 weeks, not {self.weeks}.")
        unknown = set(self.effects) - set(_effects())
        if unknown:
            raise ConfigError(f"A play cannot act on {', '.join(sorted(unknown))}.")


@dataclass(frozen=True)
class Company:
    """A company to simulate; equal values give equal bytes."""

    accounts: int = 2_000  # founding accounts and later arrivals together
    months: int = 24
    seed: int = 7
    start: datetime.date = datetime.date(2024, 7, 1)  # 24 months from here end on 2026-07-01
    founding_share: float = 0.65  # the others arrive evenly: about 25 % growth a year before churn
    base_logit: float = -12.15  # of the daily hazard between renewals: under 1 % of annual terms end early
    monthly_renewal_logit: float = 5.3  # added at a monthly renewal: about 1 % churn a month
    annual_renewal_logit: float = 7.6  # added at an annual renewal: 5 to 10 % are not renewed
    manual_renewal_logit: float = 0.4  # added without auto-renewal: somebody has to say yes
    cutoff_logit: float = 11.2  # added when a failed card stops the service: about half do not return
    cause_strength: float = 1.0  # scales every cause; at 0 nobody has a reason to leave
    card_failure: float = 0.03  # share of monthly card payments that fail at first
    card_repair: float = 0.45  # share of failed cards repaired in each of the two weeks before the cutoff
    announcing_share: float = 0.35  # share of accounts that give notice one month before the renewal
    futures: int = 32  # Monte Carlo paths behind each true probability
    policy: Policy = field(default_factory=Policy)
    shifts: tuple[Shift, ...] = ()

    def __post_init__(self) -> None:
        if self.accounts < 1 or self.months < 1 or self.futures < 2:
            raise ConfigError("A company needs at least one account, one month and two futures.")
        if self.start.day != 1:
            raise ConfigError(f"A company starts on the first of a month, not on {self.start}.")
        if self.seed < 0:
            raise ConfigError(f"A seed is 0 or more, not {self.seed}.")
        for shift in self.shifts:
            if shift.month >= self.months:
                raise ConfigError(f"A shift in month {shift.month} is beyond the {self.months} simulated months.")


def end_on(company: Company, end: datetime.datetime | None) -> Company:
    """The company with its history moved so that it ends on this day; unchanged unless that is the first of a month.

    >>> end_on(Company(months=9), datetime.datetime(2026, 7, 1)).start
    datetime.date(2025, 10, 1)
    """
    if end is None or end.day != 1:
        return company
    years, month = divmod(12 * end.year + end.month - 1 - company.months, 12)
    return dataclasses.replace(company, start=datetime.date(years, month + 1, 1))


def as_json(company: Company) -> dict[str, object]:
    """All parameters as JSON values; two companies are equal exactly if these are."""
    return dataclasses.asdict(company) | {
        "start": company.start.isoformat(),
        "shifts": [dataclasses.asdict(shift) for shift in company.shifts],
    }
