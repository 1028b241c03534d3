"""Intervals of the retention and outcome reports against the truth of simulated companies: how often they hold it.

    python -m benchmarks.retention [--companies 20] [--accounts 1000] [--json]

The true risks of the simulator stand for a model's, with its level off by as much as its settings allow (log-odds, sd
0.1). They are served on the first day of quarters; bands, outcomes and intervals are those of the reports. The truth of
a share that happened is its expectation under the true risks, that of a renewal forecast what the simulated accounts
paid in the year after it. The natural rate is compared with the true risks of the same accounts if every open cause of
churn had ended on the day; the risks know each account's, so that this measures the level, not the drivers.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime

import ibis
import numpy as np
import pandas as pd
from scipy.special import expit, logit

from features.ingestion.reader import cast_tables
from features.publishing.revenue_table_builder import build_revenue_history
from features.rate_interval import wilson_bounds
from features.retention.rates import RateInterval
from features.retention.renewal_rates import quarter_day, select_terms
from features.retention.renewals import QUARTERS, RenewalForecast, forecast_renewals
from features.simulator.model.calendar import HORIZONS, build_world
from features.simulator.model.ground_truth import TrueRisks, true_risks
from features.simulator.model.parameters import Company
from features.simulator.model.population import SEGMENTS, Scenario, draw_population
from features.simulator.model.trajectories import Trajectories, simulate_trajectories
from features.simulator.tables import subscriptions
from features.simulator.tables.table_builder import to_arrow_table
from features.store.revenue_table import RevenueHistory
from features.tables.contract import CONTRACT
from features.tables.raw_table import RawTable
from features.tables.subscriptions.periods import join_periods
from monitoring.outcomes.cohorts import HELD_OUT, PLAY
from monitoring.outcomes.natural_rate import natural_rates
from monitoring.outcomes.plays import judge_plays
from monitoring.outcomes.score_truth import judge_flags
from serving.ledger.served_outcomes import OutcomeRate
from serving.views.stay_chances import chances_within

START, MONTHS, KNOWN_MONTHS = date(2023, 7, 1), 36, 24
SERVED_MONTHS = (6, 12, 18, 24)
FUTURES = 8
LEVEL_SD, SEGMENT_SD = 0.1, 0.2
FLAGGED_FROM = 0.10
MAIN, SHORT = HORIZONS.index(90), HORIZONS.index(30)
NEVER_CERTAIN = 1e-6


@dataclass(frozen=True)
class Held:
    """Whether an interval of one kind held the truth."""

    figure: str
    held: bool


def main() -> None:
    """Print how often the intervals of each figure held the truth, with the interval of that share."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retention", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--companies", type=int, default=20)
    parser.add_argument("--accounts", type=int, default=1_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    held, total = Counter[str](), Counter[str]()
    for seed in range(arguments.companies):
        company = Company(accounts=arguments.accounts, months=MONTHS, seed=seed, start=START, futures=FUTURES)
        for result in _check_company(company):
            held[result.figure] += result.held
            total[result.figure] += 1
    for figure, count in total.items():
        low, high = wilson_bounds(held[figure], count)
        row = {"figure": figure, "intervals": count, "held": held[figure] / count, "low": low, "high": high}
        print(json.dumps(row) if arguments.json else _line(row), flush=True)


def _line(row: dict[str, object]) -> str:
    return "{figure:<36} held {held:.1%} [{low:.1%}, {high:.1%}] of {intervals}".format(**row)


def _check_company(company: Company) -> Iterator[Held]:
    traits, events, terms, futures, served = np.random.SeedSequence(company.seed).spawn(5)
    world = build_world(company)
    population = draw_population(world, np.arange(company.accounts), generator=np.random.default_rng(traits))
    trajectories = simulate_trajectories(Scenario(world, population), events)
    random = np.random.default_rng(futures)
    risks = {month: true_risks(trajectories, month=month, generator=random) for month in SERVED_MONTHS}
    shift = LEVEL_SD * np.random.default_rng(served).standard_normal()
    rows = pd.concat([_served(trajectories, month, risks[month], shift, random) for month in SERVED_MONTHS])
    yield from _check_flags(rows)
    yield from _check_natural(rows)
    yield from _check_plays(rows)
    yield from _check_renewals(trajectories, risks[KNOWN_MONTHS], shift, np.random.default_rng(terms))


def _served(
    trajectories: Trajectories, month: int, true: TrueRisks, shift: float, random: np.random.Generator
) -> pd.DataFrame:
    """What the report reads of a day on which every risk was served, with the true risks beside."""
    day, outcomes = trajectories.world.month_starts[month], trajectories.outcomes
    state = trajectories.month_states[month]
    calm = replace(state, severity=np.zeros_like(state.severity), pressure=np.zeros_like(state.pressure))
    states = (*trajectories.month_states[:month], calm, *trajectories.month_states[month + 1 :])
    natural = true_risks(replace(trajectories, month_states=states), month=month, generator=random).risk[MAIN]
    account, left = true.account, outcomes.leaves_day[true.account]
    care = np.where(state.play[account] < 0, "no play", np.where(state.treated[account], PLAY, HELD_OUT))
    return pd.DataFrame(
        {
            "quarter": str(month), "as_of": month, "account_id": account, "care": care,
            "segment": np.array(SEGMENTS)[trajectories.population.segment[account]],
            "mrr": trajectories.population.seats[account] * 50.0,
            "true": true.risk[MAIN], "true_soon": true.risk[SHORT], "true_natural": natural,
            "risk": _shifted(true.risk[MAIN], shift), "risk_soon": _shifted(true.risk[SHORT], shift),
            "natural": _shifted(natural, shift),
            "churned": (left < day + HORIZONS[MAIN]).astype(float),
            "churned_soon": (left < day + HORIZONS[SHORT]).astype(float),
            "lead_days": np.where(left < day + HORIZONS[MAIN], left - day, np.nan),
        }
    ).assign(band=lambda served: np.where(served.risk >= FLAGGED_FROM, "high", "low"))  # fmt: skip


def _check_flags(rows: pd.DataFrame) -> Iterator[Held]:
    for truth in judge_flags(rows):
        quarter = rows[rows.quarter == truth.quarter]
        flagged = quarter[quarter.band == "high"]
        money, flagged_money = ((part.true * part.mrr).sum() for part in (quarter, flagged))
        yield from _held("score truth: share caught", truth.recall, flagged.true.sum() / quarter.true.sum())
        yield from _held("score truth: share of flags that left", truth.precision, flagged.true.mean())
        yield from _held("score truth: revenue caught", truth.revenue_share, flagged_money / money)


def _check_natural(rows: pd.DataFrame) -> Iterator[Held]:
    for rate in natural_rates(rows, float(np.hypot(LEVEL_SD, SEGMENT_SD))):
        segment = rows[rows.segment == rate.segment]
        yield from _held("natural rate", rate.natural, segment.true_natural.mean())
        yield from _held("natural rate: expected beside", rate.expected, segment.true.mean())
        yield from _held("natural rate: happened beside", rate.happened, segment.true.mean())


def _check_plays(rows: pd.DataFrame) -> Iterator[Held]:
    soon = rows.assign(risk=rows.risk_soon, churned=rows.churned_soon)
    evidence = judge_plays(soon[["as_of", "care", "risk", "churned"]], 0.05)
    if evidence.ratio is not None and evidence.low is not None and evidence.high is not None:
        treated, held_out = (soon[soon.care == care] for care in (PLAY, HELD_OUT))
        rates = [part.true_soon.sum() / part.risk.sum() for part in (treated, held_out)]
        yield from _held("play effect", OutcomeRate(evidence.ratio, evidence.low, evidence.high), rates[0] / rates[1])


def _check_renewals(
    trajectories: Trajectories, true: TrueRisks, shift: float, random: np.random.Generator
) -> Iterator[Held]:
    tables = _tables(trajectories, random)
    then, later = (_history(tables, trajectories, month) for month in (KNOWN_MONTHS, MONTHS))
    none = np.full((len(then.cents), QUARTERS), np.nan)
    yield from _check_forecast("renewals by past rates", then, later, forecast_renewals(then, none))
    ids = [f"A{number:07d}" for number in true.account]
    rows = pd.Series(np.arange(len(then.cents)), then.account_ids).reindex(ids)
    is_paying = rows.notna().to_numpy()
    last = len(then.origins) - 1
    days = [(quarter_day(then, last + ahead) - then.as_of).days for ahead in range(1, QUARTERS + 1)]
    chances = none.copy()
    chances[rows[is_paying].astype(int)] = chances_within(_shifted(true.risk.T[is_paying], shift), HORIZONS, days)
    yield from _check_forecast("renewals by risks", then, later, forecast_renewals(then, chances))


def _check_forecast(
    figure: str, then: RevenueHistory, later: RevenueHistory, forecast: RenewalForecast
) -> Iterator[Held]:
    paid_later = {name: row for row, name in enumerate(later.account_ids)}
    for ahead, quarter in enumerate(forecast.quarters, 1):
        if figure.endswith("risks") and not quarter.from_risks:
            continue
        terms = select_terms(then, len(then.origins) - 1, ahead)
        column = later.instants.index(quarter.until)
        paid = np.array([later.cents[paid_later[name], column] for name in then.account_ids[terms.rows]])
        due = terms.due.sum()
        yield from _held(f"{figure}, gross", quarter.gross, np.minimum(paid, terms.due).sum() / due)
        yield from _held(f"{figure}, net", quarter.net, paid.sum() / due)


def _tables(trajectories: Trajectories, random: np.random.Generator) -> dict[str, RawTable]:
    terms = subscriptions.contract_terms(trajectories, random)
    built = {
        "accounts": subscriptions.accounts(trajectories.population, random),
        "subscriptions": subscriptions.subscriptions(trajectories, terms),
    }
    arrow = {name: to_arrow_table(CONTRACT[name], columns, world=trajectories.world) for name, columns in built.items()}
    raw = {name: RawTable(CONTRACT[name], ibis.memtable(t), frozenset(t.column_names)) for name, t in arrow.items()}
    tables = cast_tables(raw)
    rows = join_periods(tables["subscriptions"].rows, 24).to_pyarrow()
    return {**tables, "subscriptions": replace(tables["subscriptions"], rows=ibis.memtable(rows))}


def _history(tables: dict[str, RawTable], trajectories: Trajectories, month: int) -> RevenueHistory:
    start = trajectories.world.company.start
    years, months = divmod(start.month - 1 + month, 12)
    day = datetime(start.year + years, months + 1, 1)
    history = build_revenue_history(tables, day, datetime(start.year, start.month, 1), 4)
    assert history is not None
    return history


def _shifted(risks: np.ndarray, shift: float) -> np.ndarray:
    is_certain = (risks < NEVER_CERTAIN) | (risks > 1 - NEVER_CERTAIN)
    return np.where(is_certain, risks, expit(logit(np.clip(risks, NEVER_CERTAIN, 1 - NEVER_CERTAIN)) + shift))


def _held(figure: str, interval: RateInterval | OutcomeRate | None, truth: float) -> Iterator[Held]:
    """Nothing of a figure without an interval: then the report says none."""
    if interval is not None and interval.low is not None and interval.high is not None:
        yield Held(figure, bool(interval.low <= truth <= interval.high))


if __name__ == "__main__":
    main()
