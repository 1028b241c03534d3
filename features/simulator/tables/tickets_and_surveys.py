"""The tickets table, which shows incidents and slow support, and the surveys table, which shows total mood."""

import numpy as np

from features.simulator.model.churn_causes import PART_INDEX
from features.simulator.model.population import account_ids
from features.simulator.model.trajectories import Trajectories
from features.simulator.tables.table_builder import (
    TableColumns,
    TextColumn,
    recording_times,
    row_ids,
    spread_over_weeks,
)

SEVERITIES = ("low", "normal", "high", "urgent")
KINDS = ("how_to", "request", "billing", "defect")
KIND_SHARES = (0.5, 0.2, 0.1, 0.2)
LATE_SHARE = 0.03
WEEKS_PER_SURVEY_ROUND = 12  # one round a quarter
SURVEYED_PER_ROUND = 3  # people
RESPONDENTS = ("person-1", "person-2", "person-3", "person-4")
RESPONSE_RATE = 0.2
SCALES = {"nps": (0, 10), "csat": (1, 7)}


def tickets(trajectories: Trajectories, generator: np.random.Generator) -> TableColumns:
    """Demanding accounts write many tickets and quiet ones few, whatever their risk; incidents add more severe ones."""
    counts = generator.poisson(_ticket_rates(trajectories))
    week, account, opened = spread_over_weeks(counts, trajectories.world, generator=generator)
    is_active = trajectories.is_active(account, day=np.floor(opened))
    week, account, opened = week[is_active], account[is_active], opened[is_active]
    size = len(week)
    bad, tardy = trajectories.severity("incident")[week, account], trajectories.severity("slow_support")[week, account]
    answered = opened + generator.lognormal(-2.0, 0.9, size) * (1 + 3 * tardy)
    mood = np.clip(np.round(4.3 - 0.9 * tardy - 0.6 * bad + generator.normal(0.0, 1.1, size)), 1, 5)
    ordinary = generator.choice(len(KINDS), size, p=KIND_SHARES)
    defect = (bad > 0) & (generator.random(size) < 0.6)
    return {
        "account_id": TextColumn(account, account_ids(trajectories.population)),
        "ticket_id": row_ids("T", account),
        "opened_at": opened,
        "first_response_at": answered,
        "resolved_at": answered + generator.lognormal(0.2, 1.0, size) * (1 + 2.5 * tardy + bad),
        "severity": TextColumn(np.clip(generator.poisson(0.9 + 0.8 * bad), 0, 3), np.array(SEVERITIES)),
        "kind": TextColumn(np.where(defect, KINDS.index("defect"), ordinary), np.array(KINDS)),
        "escalated": generator.random(size) < 0.04 + 0.10 * (tardy > 0) + 0.05 * (bad > 0),
        "csat": np.where(generator.random(size) < 0.3, mood, np.nan),
        "recorded_at": recording_times(opened, LATE_SHARE, generator=generator),
    }


def surveys(trajectories: Trajectories, generator: np.random.Generator) -> TableColumns:
    """Some people are surveyed each quarter and few answer, unhappy ones least; the score is mood plus noise."""
    week, account, sent, respondent = _survey_invitations(trajectories, generator)
    size = len(week)
    mood = _dissatisfaction(trajectories)[week, account] + generator.normal(0.0, 0.8, size)
    answers = generator.random(size) < RESPONSE_RATE * np.exp(-0.25 * np.maximum(mood, 0))
    kind = (generator.random(size) < 0.3).astype(int)
    low, high = np.array(list(SCALES.values()))[kind].T
    score = np.where(kind == 0, 8.2 - 1.1 * mood, 5.6 - 0.7 * mood) + generator.normal(0.0, 1.3, size)
    return {
        "account_id": TextColumn(account, account_ids(trajectories.population)),
        "respondent_id": TextColumn(respondent, np.array(RESPONDENTS)),
        "kind": TextColumn(kind, np.array(list(SCALES))),
        "sent_at": sent,
        "answered_at": np.where(answers, sent + generator.exponential(2.5, size), np.nan),
        "score": np.where(answers, np.clip(np.round(score), low, high), np.nan),
    }


def _ticket_rates(trajectories: Trajectories) -> np.ndarray:
    """Tickets a week, (weeks, accounts)."""
    world, population = trajectories.world, trajectories.population
    ticket_propensity = np.where(population.demanding, 4.0, np.where(population.quiet, 0.4, 1.0))
    newness = np.exp(-np.maximum(world.week_starts[: world.week_count, None] - population.start_day, 0) / 60)
    trouble = 1.6 * trajectories.severity("incident") + 0.5 * trajectories.severity("slow_support")
    return 0.06 * np.sqrt(population.seats) * ticket_propensity * (1 + trouble + newness)


def _survey_invitations(trajectories: Trajectories, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Who is surveyed when: each account has its own quarterly round, and none in its first month."""
    world, population = trajectories.world, trajectories.population
    account_round = generator.integers(0, WEEKS_PER_SURVEY_ROUND, len(population))
    round_now = np.arange(world.week_count)[:, None] % WEEKS_PER_SURVEY_ROUND == account_round
    week, account, sent = spread_over_weeks(np.where(round_now, SURVEYED_PER_ROUND, 0), world, generator=generator)
    # The people of a round differ: the first is drawn, the others follow in order.
    first = np.repeat(generator.integers(0, len(RESPONDENTS), len(sent) // SURVEYED_PER_ROUND), SURVEYED_PER_ROUND)
    respondent = (first + np.arange(len(sent)) % SURVEYED_PER_ROUND) % len(RESPONDENTS)
    day = np.floor(sent)
    is_invited = trajectories.is_active(account, day=day) & trajectories.is_active(account, day=day - 30)
    return week[is_invited], account[is_invited], sent[is_invited], respondent[is_invited]


def _dissatisfaction(trajectories: Trajectories) -> np.ndarray:
    """The sum of all logit parts that a respondent could know, (weeks, accounts): a symptom, not a cause."""
    hidden = [PART_INDEX[part] for part in ("base", "contract", "unseen")]
    return trajectories.logit_parts.sum(axis=1) - trajectories.logit_parts[:, hidden].sum(axis=1)
