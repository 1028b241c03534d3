"""The true hazard: the daily probability of deciding to leave, whose logit is a sum of parts by family."""

from dataclasses import dataclass

import numpy as np

from features.simulator.model.calendar import WEEKS_PER_MONTH
from features.simulator.model.churn_causes import CAUSES, PART_INDEX, PARTS
from features.simulator.model.hidden_state import HiddenState
from features.simulator.model.population import Population, Scenario

SWING_LOGIT = 0.3  # per standard deviation of usage below the usual
FIT_LOGIT = 0.3  # per standard deviation of worse fit
DEMANDING_LOGIT = -0.7  # accounts that complain still care
QUIET_LOGIT = 0.45  # accounts that are silent may be about to leave


@dataclass(frozen=True)
class SpecialDay:
    """The one day of a week on which an account's hazard differs; without one, `day` is past the week's end."""

    day: np.ndarray  # counted from the week's start
    renewal_logit: np.ndarray  # added by a renewal decision
    cutoff_logit: np.ndarray  # added on the week's first day when a failed card stops the service
    cutoff_probability: np.ndarray  # probability of that; the week then has no other hazard
    announced: np.ndarray  # leaving would take effect one month later


def ordinary_logit_parts(scenario: Scenario, state: HiddenState, *, week: int) -> np.ndarray:
    """Logit parts of an ordinary day of this week, (parts, accounts); their sum is the logit of the hazard."""
    world, population = scenario.world, scenario.population
    parts = np.zeros((len(PARTS), len(population)), dtype=np.float32)
    for cause, pressure, weight in zip(CAUSES, state.pressure, world.cause_weights[week], strict=True):
        parts[PART_INDEX[cause.family]] += weight * pressure
    strength = np.float32(world.company.cause_strength)
    parts[PART_INDEX["adoption"]] -= strength * np.float32(SWING_LOGIT) * state.intensity
    parts -= _treatment_effect(scenario, state) * np.maximum(parts, 0)
    parts[PART_INDEX["base"]] = world.base_logit[week]
    parts[PART_INDEX["value"]] += np.float32(world.value_logit[week])
    parts[PART_INDEX["fit"]] = strength * (DEMANDING_LOGIT * population.demanding - FIT_LOGIT * population.fit)
    parts[PART_INDEX["engagement"]] += strength * QUIET_LOGIT * population.quiet
    return parts


def special_day(scenario: Scenario, state: HiddenState, *, week: int) -> SpecialDay:
    """The day of this week on which a renewal is decided or the service stops."""
    world, population = scenario.world, scenario.population
    month = week // WEEKS_PER_MONTH
    is_due = _next_decision_month(population, state, month=month) == month
    deciding = is_due & ((population.anchor_day - 1) // 7 == week % WEEKS_PER_MONTH)
    cutoff_probability = state.card_failing[-1]
    company = world.company
    term = np.where(population.term == 1, company.monthly_renewal_logit, company.annual_renewal_logit)
    manual = np.where(population.auto_renew, 0.0, company.manual_renewal_logit)
    no_day = int(world.week_lengths[week])
    return SpecialDay(
        day=np.where(cutoff_probability == 1, 0, np.where(deciding, (population.anchor_day - 1) % 7, no_day)),
        renewal_logit=np.where(deciding, term + manual, 0.0).astype(np.float32),
        cutoff_logit=np.where(cutoff_probability > 0, company.cutoff_logit, 0.0).astype(np.float32),
        cutoff_probability=cutoff_probability,
        announced=deciding & population.announces,
    )


def daily_hazard(logit: np.ndarray, special: SpecialDay, *, days: int) -> np.ndarray:
    """The hazard of each day of a week, (accounts, days), from the logit of an ordinary day; cards must be drawn."""
    is_special = np.arange(days) == special.day[:, None]
    added = np.where(is_special, (special.renewal_logit + special.cutoff_logit)[:, None], np.float32(0))
    is_suspended = (special.cutoff_probability == 1)[:, None] & ~is_special
    return np.where(is_suspended, np.float32(0), sigmoid(logit[:, None] + added))


def leaving_probabilities(logit: np.ndarray, special: SpecialDay, *, days: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of deciding within the first `days` of a week to leave at once, and to leave a month later.

    A service stop enters with its probability; a renewal never falls in the same week.
    """
    stay = np.log1p(-sigmoid(logit))
    decides = sigmoid(logit + special.renewal_logit) * ((special.renewal_logit > 0) & (special.day < days))
    before = np.exp(stay * np.minimum(special.day, days))
    after = np.exp(stay * np.maximum(days - special.day - 1, 0))
    later = before * decides * special.announced
    at_once = 1 - before * (1 - decides) * after - later
    not_cut = 1 - special.cutoff_probability
    leaves_at_cutoff = special.cutoff_probability * sigmoid(logit + special.cutoff_logit)
    return not_cut * at_once + leaves_at_cutoff, not_cut * later


def effective_day(scenario: Scenario, month: int | np.ndarray) -> np.ndarray:
    """The day on which a departure announced in this month (one, or one per account) takes effect."""
    return scenario.world.month_starts[np.asarray(month) + 1] + scenario.population.anchor_day - 1


def sigmoid(logit: np.ndarray) -> np.ndarray:
    """The probability with these log odds."""
    return 1 / (1 + np.exp(-logit))


def _next_decision_month(population: Population, state: HiddenState, *, month: int) -> np.ndarray:
    """The month of the next decision: the renewal, or one month earlier if it would be announced."""
    renews_after = np.where(state.renewal_month == month, month + population.term, state.renewal_month)
    return np.where(population.announces, renews_after - 1, state.renewal_month)


def _treatment_effect(scenario: Scenario, state: HiddenState) -> np.ndarray:
    """The share of each raised part that the current play removes, (parts, accounts)."""
    effect = np.array([scenario.world.company.policy.effects.get(part, 0.0) for part in PARTS], dtype=np.float32)
    worked = (state.play == np.arange(len(PARTS))[:, None]) & state.treated
    return worked * effect[:, None]
