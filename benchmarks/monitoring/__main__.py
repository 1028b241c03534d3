"""How often monitoring is wrong in a year without change, and how soon it sees planted shifts, beside usual rules.

    python -m benchmarks.monitoring [--companies 20] [--accounts 100 1000] [--parts drift outcomes] [--clean] [--json]

Drift: 52 weekly runs of simulated companies with seasons and holidays, one year and eleven months after they began.
Rivals compare the same days: PSI above 0.2 on any signal, a Kolmogorov-Smirnov p-value below 0.05 on any signal.
Outcomes: 13 monthly cohorts whose risks are right except for a level that rests on 80 departures. The rival is an exact
Poisson interval of observed over expected departures, looked at every month.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import chain, count

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import beta, chi2, ks_2samp

from benchmarks.monitoring.panels import (
    CHECKED_WEEKS,
    FAMILIES,
    SHIFTS,
    WEEKS,
    PanelWeek,
    plant_shift,
    simulate_panel,
)
from monitoring.drift.detector import EVERYBODY, detect_drift
from monitoring.drift.paired_changes import measure_changes
from monitoring.drift.tolerance import Changes
from monitoring.evidence.budget import level_of_run
from monitoring.outcomes.bets import Cohort, Doubt, bet_weights, make_bets
from monitoring.outcomes.e_detector import alarm_threshold, tolerated_deviations

BUDGET, LAG_WEEKS = 0.05, 4
BINS, PSI_LIMIT, KS_LEVEL = 10, 0.2, 0.05
MONTHS, DEPARTURES = 13, 80
PARTS = ("adoption", "support", "value")
WORLDS = {"none": (0.0, 1.0), "odds doubled": (float(np.log(2)), 1.0), "a family's weight gone": (0.0, 0.0)}
PanelChanges = Mapping[int, Changes]  # by the week in which a pair ends
PARTS_CHECKED = ("drift", "outcomes")
Rule = Callable[[pd.DataFrame, pd.DataFrame], bool]


@dataclass(frozen=True)
class Result:
    """A rule in worlds with one shift: the share with an alarm in the year, and the median delay of the others.

    The delay is in weeks from the shift for drift, and in cohorts of 28 days for outcomes; None if under half are seen.
    """

    rule: str
    shift: str
    accounts: int
    companies: int
    alarmed: float
    median_delay: float | None


def main() -> None:
    """Print a line per rule, shift and size."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.monitoring", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--companies", type=int, default=20, help="per shift and size")
    parser.add_argument("--accounts", type=int, nargs="*", default=[100, 1_000])
    parser.add_argument("--parts", nargs="*", choices=PARTS_CHECKED, default=PARTS_CHECKED)
    parser.add_argument("--clean", action="store_true", help="outcomes: only companies without a change")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    for accounts in arguments.accounts:
        drift = drift_results(accounts, arguments.companies) if "drift" in arguments.parts else ()
        worlds = list(WORLDS)[: 1 if arguments.clean else None]
        outcomes = outcome_results(accounts, arguments.companies, worlds) if "outcomes" in arguments.parts else ()
        for result in chain(drift, outcomes):
            print(json.dumps(asdict(result)) if arguments.json else _line(result), flush=True)


def drift_results(accounts: int, companies: int) -> Iterator[Result]:
    """The drift rules without a shift for a year, and on each planted shift, which begins in the middle of it."""
    found: dict[tuple[str, str], list[int | None]] = {}
    for seed in range(companies):
        weeks = simulate_panel(accounts, seed)
        clean = _changes(weeks, range(LAG_WEEKS, WEEKS), {})
        for rule, alarms in _alarms_by_rule(weeks, clean, WEEKS - CHECKED_WEEKS).items():
            found.setdefault((rule, "none"), []).append(_first_alarm(alarms))
        first_year = _oarlock_alarms(weeks, clean, 2 * LAG_WEEKS, CHECKED_WEEKS + LAG_WEEKS)
        found.setdefault(("oarlock", "none, first year"), []).append(_first_alarm(first_year))
        start = WEEKS - CHECKED_WEEKS // 2
        for shift in SHIFTS:
            shifted = plant_shift(weeks, shift, start)
            changes = _changes(shifted, range(start, WEEKS), clean)
            for rule, alarms in _alarms_by_rule(shifted, changes, start).items():
                found.setdefault((rule, shift), []).append(_first_alarm(alarms))
    yield from (_result(f"drift: {rule}", shift, accounts, delays) for (rule, shift), delays in found.items())


def outcome_results(accounts: int, companies: int, worlds: Sequence[str] = tuple(WORLDS)) -> Iterator[Result]:
    """The outcome rules on each world, which holds from the first cohort on; the level is unlucky in all of them."""
    doubt = Doubt(DEPARTURES, 0.1, 0.2, tolerated_deviations(BUDGET))
    for shift in worlds:
        level, weight = WORLDS[shift]
        delays: dict[str, list[int | None]] = {"oarlock": [], "Poisson interval": []}
        for seed in range(companies):
            cohorts = _simulate_cohorts(accounts, seed, level=level, weight=weight)
            until = [cohorts[: month + 1] for month in range(MONTHS)]
            delays["oarlock"].append(_first_alarm(_outcome_alarms(cohorts, doubt)))
            delays["Poisson interval"].append(_first_alarm(map(_excludes_one, until)))
        yield from (_result(f"outcomes: {name}", shift, accounts, found) for name, found in delays.items())


def _changes(weeks: Sequence[PanelWeek], at: Iterable[int], known: PanelChanges) -> PanelChanges:
    """The changes of the pairs that end in these weeks, and those that are known already."""
    new = {end: measure_changes(weeks[end - LAG_WEEKS].rows, weeks[end].rows, FAMILIES) for end in at}
    return {**known, **new}


def _alarms_by_rule(weeks: Sequence[PanelWeek], changes: PanelChanges, start: int) -> dict[str, Iterator[bool]]:
    def compare(rule: Rule) -> Iterator[bool]:
        return (rule(weeks[at - LAG_WEEKS].rows, weeks[at].rows) for at in range(start, WEEKS))

    return {
        "oarlock": _oarlock_alarms(weeks, changes, start),
        "PSI > 0.2": compare(_any_psi),
        "KS p < 0.05": compare(_any_ks),
    }


def _oarlock_alarms(weeks: Sequence[PanelWeek], changes: PanelChanges, start: int, end: int = WEEKS) -> Iterator[bool]:
    days = {at: (weeks[at - LAG_WEEKS].day, weeks[at].day) for at in changes}
    level = level_of_run(BUDGET, days=7)
    for at in range(start, end):
        past = {days[ended]: {EVERYBODY: changes[ended]} for ended in changes if ended <= at - LAG_WEEKS}
        yield detect_drift(days[at], {EVERYBODY: changes[at]}, past, level=level).is_alarm


def _first_alarm(alarms: Iterator[bool]) -> int | None:
    return next((number for number, alarm in zip(count(), alarms, strict=False) if alarm), None)


def _any_psi(before: pd.DataFrame, after: pd.DataFrame) -> bool:
    return any(_psi(before[name].dropna(), after[name].dropna()) > PSI_LIMIT for name in before)


def _psi(before: pd.Series, after: pd.Series) -> float:
    edges = np.quantile(before, np.linspace(0, 1, BINS + 1)[1:-1])
    shares = [np.bincount(np.searchsorted(edges, part), minlength=BINS) / max(len(part), 1) for part in (before, after)]
    old, new = (np.clip(share, 1e-4, None) for share in shares)
    return float(((new - old) * np.log(new / old)).sum())


def _any_ks(before: pd.DataFrame, after: pd.DataFrame) -> bool:
    return any(_ks(before[name].dropna(), after[name].dropna()) < KS_LEVEL for name in before)


def _ks(before: pd.Series, after: pd.Series) -> float:
    return float(ks_2samp(before, after, method="asymp").pvalue) if len(before) and len(after) else 0.0


def _outcome_alarms(cohorts: Sequence[Cohort], doubt: Doubt) -> Iterator[bool]:
    """Whether `judge_cohorts` would alarm after each cohort, with each cohort bet on once."""
    bets = make_bets(cohorts)
    log_weights, log_detectors = np.log(bet_weights(bets)), np.full(len(bets), -np.inf)
    for cohort in cohorts:
        gains = np.array([bet.log_ratio(cohort, doubt) for bet in bets])
        log_detectors = np.logaddexp(log_detectors, 0.0) + gains
        yield bool(np.logaddexp.reduce(log_detectors + log_weights) >= np.log(alarm_threshold(BUDGET)))


def _simulate_cohorts(accounts: int, seed: int, *, level: float, weight: float) -> list[Cohort]:
    generator = np.random.default_rng(seed)
    unlucky = generator.normal(0, np.sqrt(1 / DEPARTURES))
    cohorts: list[Cohort] = []
    for month in range(MONTHS):
        families = {family: 0.7 * generator.normal(size=accounts) for family in PARTS}
        served = -4.6 + sum(families.values(), np.zeros(accounts))
        true = served + level + unlucky - (1 - weight) * families["support"]
        left = (generator.random(accounts) < expit(true)).astype("float64")
        day = datetime(2024, 1, 1) + timedelta(days=28 * month)
        cohorts.append(Cohort(day, 1, expit(served), left, families, np.full(accounts, "")))
    return cohorts


def _excludes_one(cohorts: Sequence[Cohort]) -> bool:
    observed = sum(cohort.churned.sum() for cohort in cohorts)
    expected = sum(cohort.risks.sum() for cohort in cohorts)
    low = chi2.ppf(0.025, 2 * observed) / 2 if observed else 0.0
    return not low <= expected <= chi2.ppf(0.975, 2 * observed + 2) / 2


def _result(rule: str, shift: str, accounts: int, delays: Sequence[int | None]) -> Result:
    ordered = sorted(float("inf") if delay is None else float(delay) for delay in delays)
    middle = ordered[len(ordered) // 2]
    alarmed = float(np.mean([delay is not None for delay in delays]))
    return Result(rule, shift, accounts, len(delays), alarmed, None if middle == float("inf") else middle)


def _interval(result: Result) -> tuple[float, float]:
    """The exact 95 % interval of the share with an alarm (Clopper & Pearson, 1934)."""
    alarmed = round(result.alarmed * result.companies)
    quiet = result.companies - alarmed
    low = float(beta.ppf(0.025, alarmed, quiet + 1)) if alarmed else 0.0
    return low, float(beta.ppf(0.975, alarmed + 1, quiet)) if quiet else 1.0


def _line(result: Result) -> str:
    delay = "-" if result.median_delay is None else f"{result.median_delay:.0f}"
    low, high = _interval(result)
    seen = f"alarmed {result.alarmed:>4.0%} [{low:.0%}, {high:.0%}] of {result.companies}  median delay {delay}"
    return f"{result.accounts:>6} {result.shift:<24} {result.rule:<28} {seen}"


if __name__ == "__main__":
    main()
