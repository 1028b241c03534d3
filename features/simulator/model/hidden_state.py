"""The hidden state of the accounts, and its one step through a week: the same for what happens and for what might."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from features.simulator.model.calendar import WEEKS_A_MONTH
from features.simulator.model.churn_causes import CAUSE, column_of, usual_share
from features.simulator.model.population import Population, Setting, start_week

MEMORY = 0.92  # of the intensity's swings from week to week: half is forgotten in two months
WEEKS_TO_CUT = 3  # from the failure of a card to the service being cut


@dataclass(frozen=True)
class State:
    """All that decides an account's future besides its traits; the last axis runs over accounts."""

    severity: np.ndarray  # of the open episode of each cause, 0 where there is none, (causes, accounts)
    pressure: np.ndarray  # what the hazard feels of it, (causes, accounts)
    intensity: np.ndarray  # swing of health about what is usual; mean-reverting, standard normal in the long run
    failing: np.ndarray  # probability that the card failed 1, 2, 3 weeks ago and is not repaired, (3, accounts)
    renews: np.ndarray  # month of the next renewal
    play: np.ndarray  # part the running play works on, -1 where there is none
    treated: np.ndarray  # whether it is really worked, not held out
    play_weeks: np.ndarray  # that it still runs


def founding(population: Population, generator: np.random.Generator) -> State:
    """The state at day 0: in the long-run balance for the founding stock, blank for those who arrive later."""
    shape = population.onsets.shape
    founder = population.start_month < 0
    open_now = (generator.random(shape) < usual_share()) & founder
    open_now[CAUSE["stalled_implementation"]] = (population.stalls > 0) & founder & (population.start_month > -6)
    severity = np.where(open_now, generator.uniform(0.5, 1.5, shape), 0.0).astype(np.float32)
    return State(
        severity=severity,
        pressure=severity * generator.random(shape, dtype=np.float32),
        intensity=generator.normal(size=shape[1]).astype(np.float32),
        failing=np.zeros((WEEKS_TO_CUT, shape[1]), dtype=np.float32),
        renews=np.where(founder, population.start_month % population.term, population.start_month + population.term),
        play=np.full(shape[1], -1, dtype=np.int8),
        treated=np.zeros(shape[1], dtype=bool),
        play_weeks=np.zeros(shape[1], dtype=np.int8),
    )


def welcome(state: State, population: Population, *, week: int) -> State:
    """Accounts that begin in this week start blank, some with a stalled implementation."""
    severity, pressure = state.severity.copy(), state.pressure.copy()
    begins = start_week(population) == week
    severity[:, begins] = 0
    pressure[:, begins] = 0
    severity[CAUSE["stalled_implementation"], begins] = population.stalls[begins]
    return dataclasses.replace(state, severity=severity, pressure=pressure)


def card_drawn(state: State, generator: np.random.Generator) -> State:
    """The state with the fate of each card drawn: in life it failed or not, in a future it stays a probability.

    An account is never in two stages at once, so one draw serves all three.
    """
    draw = generator.random(state.failing.shape[1], dtype=np.float32)
    return dataclasses.replace(state, failing=(draw < state.failing).astype(np.float32))


def step(state: State, setting: Setting, *, week: int, generator: np.random.Generator) -> State:
    """The state at the start of the next week, for accounts that did not leave in this one, cards not drawn."""
    population = setting.population
    severity = _episodes(state, population, generator=generator)
    shock = generator.standard_normal(len(state.intensity), dtype=np.float32)
    weeks_left = np.maximum(state.play_weeks - 1, 0)
    at_anchor = (population.anchor - 1) // 7 == week % WEEKS_A_MONTH
    renewed = at_anchor & (state.renews == week // WEEKS_A_MONTH)
    return State(
        severity=severity,
        pressure=state.pressure + column_of("speed") * (severity - state.pressure),
        intensity=np.float32(MEMORY) * state.intensity + np.float32(np.sqrt(1 - MEMORY**2)) * shock,
        failing=_failing(state, setting, at_anchor=at_anchor),
        renews=np.where(renewed, state.renews + population.term, state.renews),
        play=np.where(weeks_left > 0, state.play, -1).astype(np.int8),
        treated=state.treated & (weeks_left > 0),
        play_weeks=weeks_left,
    )


def _episodes(state: State, population: Population, *, generator: np.random.Generator) -> np.ndarray:
    """One draw per cause ends an open episode or begins one; a beginning draw, rescaled, is also its severity."""
    draw = generator.random(state.severity.shape, dtype=np.float32)
    is_open = state.severity > 0
    begins = ~is_open & (draw < population.onsets)
    stays = is_open & (draw >= column_of("ending"))
    beginning = np.float32(0.5) + draw / np.maximum(population.onsets, np.float32(1e-9))
    return np.where(begins, beginning, state.severity * stays)


def _failing(state: State, setting: Setting, *, at_anchor: np.ndarray) -> np.ndarray:
    """Cards fail where a monthly payment is due, and are repaired or not until the service is cut."""
    trouble = 1 + 4 * state.pressure[CAUSE["payment_trouble"]]
    company = setting.world.company
    fails = np.float32(company.card_failure) * trouble * (at_anchor & (setting.population.term == 1))
    still = np.float32(1 - company.card_repair) * state.failing[:-1]
    return np.concatenate([np.minimum(fails, 1)[None], still])
