"""The hidden state of the accounts and its weekly transition, used for the real course and for Monte Carlo paths."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from features.simulator.model.calendar import WEEKS_PER_MONTH
from features.simulator.model.churn_causes import CAUSE_INDEX, cause_column, stationary_share
from features.simulator.model.population import Population, Scenario, start_week

AUTOCORRELATION = 0.92  # of the intensity from week to week: a half-life of two months
WEEKS_TO_CUTOFF = 3  # from a failed card until the service stops


@dataclass(frozen=True)
class HiddenState:
    """Everything except the traits that decides an account's future. The last axis runs over accounts."""

    severity: np.ndarray  # of the open episode of each cause, 0 where there is none, (causes, accounts)
    pressure: np.ndarray  # delayed effect of the severity on the hazard, (causes, accounts)
    intensity: np.ndarray  # deviation from usual health; mean-reverting, standard normal in the long run
    card_failing: np.ndarray  # probability that the card failed 1, 2, 3 weeks ago and is unrepaired, (3, accounts)
    renewal_month: np.ndarray  # of the next renewal
    play: np.ndarray  # index of the logit part the current play acts on, -1 without a play
    treated: np.ndarray  # the play is carried out, not held out
    play_weeks_left: np.ndarray  # of the current play


def initial_state(population: Population, generator: np.random.Generator) -> HiddenState:
    """The state on day 0: drawn from the long-run distribution for founding accounts, empty for later ones."""
    shape, term = population.onset_rates.shape, population.term
    founder = population.start_month < 0
    open_now = (generator.random(shape) < stationary_share()) & founder
    stalled = (population.stall_severity > 0) & founder & (population.start_month > -6)
    open_now[CAUSE_INDEX["stalled_implementation"]] = stalled
    severity = np.where(open_now, generator.uniform(0.5, 1.5, shape), 0.0).astype(np.float32)
    return HiddenState(
        severity=severity,
        pressure=severity * generator.random(shape, dtype=np.float32),
        intensity=generator.normal(size=shape[1]).astype(np.float32),
        card_failing=np.zeros((WEEKS_TO_CUTOFF, shape[1]), dtype=np.float32),
        renewal_month=np.where(founder, population.start_month % term, population.start_month + term),
        play=np.full(shape[1], -1, dtype=np.int8),
        treated=np.zeros(shape[1], dtype=bool),
        play_weeks_left=np.zeros(shape[1], dtype=np.int8),
    )


def reset_new_accounts(state: HiddenState, population: Population, *, week: int) -> HiddenState:
    """Accounts that begin in this week start without causes, except a stalled implementation for some."""
    severity, pressure = state.severity.copy(), state.pressure.copy()
    is_beginning = start_week(population) == week
    severity[:, is_beginning] = 0
    pressure[:, is_beginning] = 0
    severity[CAUSE_INDEX["stalled_implementation"], is_beginning] = population.stall_severity[is_beginning]
    return dataclasses.replace(state, severity=severity, pressure=pressure)


def draw_card_failures(state: HiddenState, generator: np.random.Generator) -> HiddenState:
    """Replace each probability of a failed card by a drawn 0 or 1; Monte Carlo paths keep the probability.

    An account is never in two stages at once, so one draw is enough for all three.
    """
    draw = generator.random(state.card_failing.shape[1], dtype=np.float32)
    return dataclasses.replace(state, card_failing=(draw < state.card_failing).astype(np.float32))


def advance_week(state: HiddenState, scenario: Scenario, *, week: int, generator: np.random.Generator) -> HiddenState:
    """The state at the start of the next week if the account stays; card failures are probabilities."""
    population = scenario.population
    severity = _advance_episodes(state, population, generator=generator)
    shock = generator.standard_normal(len(state.intensity), dtype=np.float32)
    weeks_left = np.maximum(state.play_weeks_left - 1, 0)
    at_anchor = (population.anchor_day - 1) // 7 == week % WEEKS_PER_MONTH
    renewed = at_anchor & (state.renewal_month == week // WEEKS_PER_MONTH)
    return HiddenState(
        severity=severity,
        pressure=state.pressure + cause_column("speed") * (severity - state.pressure),
        intensity=np.float32(AUTOCORRELATION) * state.intensity + np.float32(np.sqrt(1 - AUTOCORRELATION**2)) * shock,
        card_failing=_card_failure_probabilities(state, scenario, at_anchor=at_anchor),
        renewal_month=np.where(renewed, state.renewal_month + population.term, state.renewal_month),
        play=np.where(weeks_left > 0, state.play, -1).astype(np.int8),
        treated=state.treated & (weeks_left > 0),
        play_weeks_left=weeks_left,
    )


def _advance_episodes(state: HiddenState, population: Population, *, generator: np.random.Generator) -> np.ndarray:
    """One draw per cause ends an open episode or begins one; the draw, rescaled, is also the new severity."""
    draw = generator.random(state.severity.shape, dtype=np.float32)
    is_open = state.severity > 0
    is_beginning = ~is_open & (draw < population.onset_rates)
    is_continuing = is_open & (draw >= cause_column("ending"))
    initial_severity = np.float32(0.5) + draw / np.maximum(population.onset_rates, np.float32(1e-9))
    return np.where(is_beginning, initial_severity, state.severity * is_continuing)


def _card_failure_probabilities(state: HiddenState, scenario: Scenario, *, at_anchor: np.ndarray) -> np.ndarray:
    """Cards can fail when a monthly payment is due, and can be repaired until the service stops."""
    trouble = 1 + 4 * state.pressure[CAUSE_INDEX["payment_trouble"]]
    company = scenario.world.company
    failure_probability = np.float32(company.card_failure) * trouble * (at_anchor & (scenario.population.term == 1))
    unrepaired = np.float32(1 - company.card_repair) * state.card_failing[:-1]
    return np.concatenate([np.minimum(failure_probability, 1)[None], unrepaired])
