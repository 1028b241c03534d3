"""The true hazard: the daily probability of deciding to leave, as a sum of logit parts by family."""

from dataclasses import dataclass

import numpy as np

from features.simulator.model.calendar import WEEKS_A_MONTH
from features.simulator.model.churn_causes import CAUSES, PART, PARTS
from features.simulator.model.hidden_state import State
from features.simulator.model.population import Population, Setting

SWING_LOGIT = 0.3  # a standard deviation less use than usual
FIT_LOGIT = 0.3  # a standard deviation worse fit
DEMANDING_LOGIT = -0.7  # who complains still cares
QUIET_LOGIT = 0.45  # who does not, may already be gone


@dataclass(frozen=True)
class Moment:
    """The one day of a week on which an account's hazard differs; `day` is past the week where there is none."""

    day: np.ndarray  # from the week's start
    contract: np.ndarray  # logit added by a renewal to decide on
    billing: np.ndarray  # logit added by the service being cut, on the week's first day
    cut: np.ndarray  # probability of it: the week then passes without any other hazard
    announced: np.ndarray  # whether leaving would take effect one month later


def ordinary_parts(setting: Setting, state: State, *, week: int) -> np.ndarray:
    """Logit parts on an ordinary day of this week, (parts, accounts); they sum to the logit of the hazard."""
    world, population = setting.world, setting.population
    parts = np.zeros((len(PARTS), len(population.number)), dtype=np.float32)
    for cause, pressure, weight in zip(CAUSES, state.pressure, world.weights[week], strict=True):
        parts[PART[cause.family]] += weight * pressure
    strength = np.float32(world.company.cause_strength)
    parts[PART["adoption"]] -= strength * np.float32(SWING_LOGIT) * state.intensity
    parts -= _relief(setting, state) * np.maximum(parts, 0)
    parts[PART["base"]] = world.base_logit[week]
    parts[PART["value"]] += np.float32(world.value_logit[week])
    parts[PART["fit"]] = strength * (DEMANDING_LOGIT * population.demanding - FIT_LOGIT * population.fit)
    parts[PART["engagement"]] += strength * QUIET_LOGIT * population.quiet
    return parts


def moment(setting: Setting, state: State, *, week: int) -> Moment:
    """When in this week a renewal is decided on or the service is cut."""
    world, population = setting.world, setting.population
    month = week // WEEKS_A_MONTH
    due = _next_decision(population, state, month=month) == month
    deciding = due & ((population.anchor - 1) // 7 == week % WEEKS_A_MONTH)
    cut = state.failing[-1]
    company = world.company
    term = np.where(population.term == 1, company.monthly_renewal_logit, company.annual_renewal_logit)
    manual = np.where(population.auto_renew, 0.0, company.manual_renewal_logit)
    none = int(world.lengths[week])
    return Moment(
        day=np.where(cut == 1, 0, np.where(deciding, (population.anchor - 1) % 7, none)),
        contract=np.where(deciding, term + manual, 0.0).astype(np.float32),
        billing=np.where(cut > 0, company.cutoff_logit, 0.0).astype(np.float32),
        cut=cut,
        announced=deciding & population.announces,
    )


def daily(logit: np.ndarray, special: Moment, *, days: int) -> np.ndarray:
    """The hazard of each day of a week, (accounts, days), from the logit of an ordinary one; cards must be drawn."""
    here = np.arange(days) == special.day[:, None]
    added = np.where(here, (special.contract + special.billing)[:, None], np.float32(0))
    passes = (special.cut == 1)[:, None] & ~here
    return np.where(passes, np.float32(0), sigmoid(logit[:, None] + added))


def leaving(logit: np.ndarray, special: Moment, *, days: int) -> tuple[np.ndarray, np.ndarray]:
    """Probability of deciding within the first `days` of a week: to leave that day, and to leave a month later.

    Takes the service being cut with its probability; a renewal never falls in the same week.
    """
    stay = np.log1p(-sigmoid(logit))
    decides = sigmoid(logit + special.contract) * ((special.contract > 0) & (special.day < days))
    before = np.exp(stay * np.minimum(special.day, days))
    after = np.exp(stay * np.maximum(days - special.day - 1, 0))
    later = before * decides * special.announced
    at_once = 1 - before * (1 - decides) * after - later
    not_cut = 1 - special.cut
    return not_cut * at_once + special.cut * sigmoid(logit + special.billing), not_cut * later


def takes_effect(setting: Setting, month: int | np.ndarray) -> np.ndarray:
    """The day on which leaving that is announced in this month, of one or each account, takes effect."""
    return setting.world.months[np.asarray(month) + 1] + setting.population.anchor - 1


def sigmoid(logit: np.ndarray) -> np.ndarray:
    """The probability whose log odds these are."""
    return 1 / (1 + np.exp(-logit))


def _next_decision(population: Population, state: State, *, month: int) -> np.ndarray:
    """The month of the next decision: the renewal itself, or one month before where it would be announced."""
    renews_after = np.where(state.renews == month, month + population.term, state.renews)
    return np.where(population.announces, renews_after - 1, state.renews)


def _relief(setting: Setting, state: State) -> np.ndarray:
    """The share of each raised part that the running play takes away, (parts, accounts)."""
    effect = np.array([setting.world.company.policy.effects.get(part, 0.0) for part in PARTS], dtype=np.float32)
    worked = (state.play == np.arange(len(PARTS))[:, None]) & state.treated
    return worked * effect[:, None]
