"""Leakage: signs that a model sees the label instead of predicting it.

Five tests: does one signal alone rank too well, does a model fitted on shuffled labels still rank, does the ranking
collapse without the accounts that leave first (Kaufman, Rosset & Perlich, 2012, on leakage), was a value
set when accounts left, and were rows deleted then.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from configs.sections.training import LeakageSettings
from training.data.cluster_bootstrap import bootstrap_weights, percentile_interval
from training.data.time_splits import TimeSplit
from training.evaluation.backtest import fit_split, rows_on
from training.evaluation.baselines import single_signal_risks
from training.evaluation.metrics import auc, count_by_group, count_by_risk
from training.labels.definition import CHURNED
from training.leakage.set_at_departure import SuspectValue
from training.model.churn_model import ModelInput, encode
from training.model.fit import FitConfig

MAX_SIGNALS = 5
OVERWRITTEN = (
    "a column that its source overwrites when an account renews or leaves tells the answer: map what it was on each"
    " day, from a history of changes, or leave it out"
)
SET_REMEDY = "map what the column was on each day, from a history of changes, or leave it out"
DELETED_REMEDY = (
    "its source seems to delete or overwrite the rows of accounts that left: bring these as they were, or leave it out"
)
# An AUC of few churned accounts may be high by chance: so many standard errors below it must be more than honest
# signals have.
STANDARD_ERRORS, HONEST_AUC = 3.0, 0.8
# By chance an AUC leaves these bounds once in 1,500 trainings.
CHANCE_SDS = 3.4
BOOTSTRAP_SAMPLES = 200


@dataclass(frozen=True)
class SignalAucs:
    """The AUC of each signal alone, by its name, on so many churned snapshots and others.

    >>> few, many = (SignalAucs({"seats": 0.92}, churned, 400).find_above(0.9) for churned in (4, 40))
    >>> few, many
    ({}, {'seats': 0.92})
    """

    by_name: Mapping[str, float]
    churned: int
    stayed: int

    def find_above(self, limit: float) -> dict[str, float]:
        """Those above a limit that are not so by chance, the highest first."""
        ranked = sorted(self.by_name.items(), key=lambda item: (-item[1], item[0]))
        return {name: value for name, value in ranked if value > limit and self._lowest(value) > HONEST_AUC}

    def _lowest(self, value: float) -> float:
        """An AUC less three standard errors (Hanley & McNeil, 1982)."""
        churned, stayed = max(self.churned, 1), max(self.stayed, 1)
        of_churned, of_stayed = value / (2 - value) - value**2, 2 * value**2 / (1 + value) - value**2
        variance = value * (1 - value) + (churned - 1) * of_churned + (stayed - 1) * of_stayed
        return value - STANDARD_ERRORS * float(np.sqrt(max(variance, 0.0) / churned / stayed))


@dataclass(frozen=True)
class ShuffledLabels:
    """The AUC of a model fitted on shuffled labels, and the bounds of chance."""

    auc: float
    low: float
    high: float


@dataclass(frozen=True)
class LeadAuc:
    """The AUC of accounts that leave `lead_days` or more after the start of the horizon against those that stay.

    `drop` is what the AUC lost since the lead before, `drop_low` the lower end of its paired interval. `signal` is the
    signal whose own AUC lost most, and `signal_drop` how much.
    """

    lead_days: int
    churned: int
    auc: float
    drop: float
    drop_low: float
    signal: str = ""
    signal_drop: float = 0.0


@dataclass(frozen=True)
class LeakageReport:
    """The results of all tests; `signal_aucs` are those of the strongest single signals.

    `shuffled_labels` is None of a model whose trees know no label of this company.
    """

    signal_aucs: dict[str, float]
    shuffled_labels: ShuffledLabels | None
    leads: tuple[LeadAuc, ...]
    alarms: tuple[str, ...]
    set_at_departure: tuple[SuspectValue, ...] = ()


@dataclass(frozen=True)
class LeadData:
    """Test snapshots and risks; `days_left` counts from the start of the horizon until the account leaves, else NaN.

    `signal_risks` are the risks that single signals give, by name.
    """

    account_ids: np.ndarray
    churned: np.ndarray
    days_left: np.ndarray
    risks: np.ndarray
    signal_risks: Mapping[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])


def report_leakage(
    signal_aucs: SignalAucs,
    shuffled_labels: ShuffledLabels | None,
    leads: tuple[LeadAuc, ...],
    settings: LeakageSettings,
    *,
    set_at_departure: tuple[SuspectValue, ...] = (),
) -> LeakageReport:
    """The report of these results, with an alarm in a sentence for each that is suspicious."""
    alarms = (
        *_signal_alarms(signal_aucs.find_above(settings.max_signal_auc), settings.max_signal_auc),
        *(_shuffle_alarms(shuffled_labels) if shuffled_labels else ()),
        *_lead_alarms(leads, settings.max_auc_drop),
        *_departure_alarms(set_at_departure),
    )
    strongest = sorted(signal_aucs.by_name.items(), key=lambda item: -item[1])[:MAX_SIGNALS]
    return LeakageReport(dict(strongest), shuffled_labels, leads, alarms, set_at_departure)


def single_signal_aucs(train: pd.DataFrame, test: pd.DataFrame, inputs: tuple[ModelInput, ...]) -> SignalAucs:
    """The AUC of each signal alone on the test snapshots, by the churn rates of its groups in training."""
    churned = test[CHURNED].to_numpy()
    aucs = {signal.name: _auc(churned, single_signal_risks(train, test, signal)) for signal in inputs}
    return SignalAucs(aucs, int(churned.sum()), int(len(churned) - churned.sum()))


def fit_on_shuffled_labels(rows: pd.DataFrame, split: TimeSplit, config: FitConfig) -> ShuffledLabels:
    """The AUC of the same fit with the labels of every day, also of the test, shuffled among its accounts.

    There is nothing to learn then, so only a fit that saw the test labels can rank them. Accounts are ranked within
    each test day: a signal that moves with the calendar may know the churn rate of a day without any leak. The bounds
    are by the variance of the Mann-Whitney statistic under chance.
    """
    generator = np.random.default_rng(config.training.seed)
    labels = rows.groupby("as_of")[CHURNED].transform(lambda day: generator.permutation(day.to_numpy()))
    shuffled = rows.assign(churned=labels)
    # The labels for other horizons are not shuffled along.
    model = fit_split(shuffled, split, replace(config, horizons=()))
    test = rows_on(shuffled, split.test)
    risks = model.predict_risks(encode(test, model.inputs))
    masks = [(test.as_of == day).to_numpy() for day in split.test]
    value = float(auc(*count_by_group(test[CHURNED].to_numpy(), risks, masks))[0])
    margin = CHANCE_SDS * _sd_of_chance([test[CHURNED][mask] for mask in masks])
    return ShuffledLabels(value, 0.5 - margin, 0.5 + margin)


def strongest_signal_risks(
    train: pd.DataFrame, test: pd.DataFrame, inputs: tuple[ModelInput, ...], aucs: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """The risks that the signals with the highest `aucs` give the test snapshots."""
    ranked = sorted(inputs, key=lambda signal: -aucs[signal.name])
    return {signal.name: single_signal_risks(train, test, signal) for signal in ranked[:MAX_SIGNALS]}


def auc_by_lead(data: LeadData, lead_days: tuple[int, ...]) -> tuple[LeadAuc, ...]:
    """The AUC without the accounts that leave before each lead.

    A prediction fades with the lead. A signal that knows of a departure shortly before it drops suddenly; the single
    signal that drops most is named.
    """
    results: list[LeadAuc] = []
    # The same draws at every lead, so that the drop between two leads is paired.
    weights = np.concatenate(list(bootstrap_weights(data.account_ids, BOOTSTRAP_SAMPLES)))
    before = before_draws = None
    for lead in lead_days:
        mask = (data.churned == 0) | (data.days_left >= lead)
        churned = int(data.churned[mask].sum())
        if churned == 0:
            break
        value = _auc(data.churned[mask], data.risks[mask])
        draws = auc(count_by_risk(data.churned[mask], data.risks[mask], weights[:, mask]))
        if before is None or before_draws is None:
            results.append(LeadAuc(lead, churned, value, 0.0, 0.0))
        else:
            drop_low = percentile_interval(before_draws - draws)[0]
            drops = (results[-1].auc - value, drop_low)
            results.append(LeadAuc(lead, churned, value, *drops, *_largest_signal_drop(data, before, mask)))
        before, before_draws = mask, draws
    return tuple(results)


def _largest_signal_drop(data: LeadData, before: np.ndarray, after: np.ndarray) -> tuple[str, float]:
    """The signal whose own AUC lost most between two groups of snapshots, and how much; "" if none did."""
    drops = {
        name: _auc(data.churned[before], risks[before]) - _auc(data.churned[after], risks[after])
        for name, risks in data.signal_risks.items()
    }
    name = max(drops, key=lambda name: drops[name], default="")
    return (name, drops[name]) if name and drops[name] > 0 else ("", 0.0)


def _sd_of_chance(labels_by_day: Sequence[pd.Series]) -> float:
    """The standard deviation of the AUC over pairs within days if risks know nothing (Mann & Whitney, 1947)."""
    counts = [(float(labels.sum()), float(len(labels) - labels.sum())) for labels in labels_by_day]
    pairs = sum(churned * stayed for churned, stayed in counts)
    variance = sum(churned * stayed * (churned + stayed + 1) / 12 for churned, stayed in counts)
    return float(np.sqrt(variance) / pairs) if pairs else 0.5


def _auc(churned: np.ndarray, risks: np.ndarray) -> float:
    return float(auc(count_by_risk(churned, risks))[0])


def _signal_alarms(strong: Mapping[str, float], max_auc: float) -> Iterator[str]:
    if strong:
        (name, value), *others = strong.items()
        named = ", ".join(f"'{name}' ({value:.3f})" for name, value in others[: MAX_SIGNALS - 1])
        more = f" and {len(others) - MAX_SIGNALS + 1} more" if len(others) >= MAX_SIGNALS else ""
        also = f", and so do {named}{more}" if others else ""
        yield f"the signal '{name}' alone has an AUC of {value:.3f}, above {max_auc}{also}; {OVERWRITTEN}"


def _shuffle_alarms(shuffled: ShuffledLabels) -> Iterator[str]:
    if not shuffled.low <= shuffled.auc <= shuffled.high:
        bounds = f"[{shuffled.low:.3f}, {shuffled.high:.3f}]"
        yield f"a model fitted on shuffled labels has an AUC of {shuffled.auc:.3f}, outside chance {bounds}"


def _lead_alarms(leads: tuple[LeadAuc, ...], max_drop: float) -> Iterator[str]:
    for before, after in pairwise(leads):
        if after.drop > max_drop and after.drop_low > 0:
            signal = f"; of the strongest signals '{after.signal}' alone drops most, by {after.signal_drop:.3f}"
            yield (
                f"the AUC drops suddenly, from {before.auc:.3f} at a lead of {before.lead_days} days to"
                f" {after.auc:.3f} at {after.lead_days}{signal if after.signal else ''}"
            )


def _departure_alarms(suspects: tuple[SuspectValue, ...]) -> Iterator[str]:
    for changes, remedy in ((False, SET_REMEDY), (True, DELETED_REMEDY)):
        worst, *others = [suspect for suspect in suspects if suspect.changes == changes] or [None]
        if worst is not None:
            named = ", ".join(_quote(other) for other in others[: MAX_SIGNALS - 1] if other)
            yield (
                f"{_quote(worst)} seems to be set when an account leaves: {worst.accounts:,} accounts had it on past"
                f" days and {worst.at_risk:,} of them are at risk today, {_describe_expected(worst)}"
                f"{f'; so does {named}' if named else ''}; {remedy}"
            )


def _describe_expected(suspect: SuspectValue) -> str:
    if suspect.shares is None:
        return f"where {suspect.expected:,.0f} would be at their own churn rate"
    early, today = suspect.shares
    return f"and {early:.1%} of the accounts had it on early days, where {today:.1%} have it today"


def _quote(suspect: SuspectValue) -> str:
    return f"'{suspect.signal}' = '{suspect.value}'" if suspect.value else f"'{suspect.signal}' without a value"
