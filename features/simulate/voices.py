"""What the account says: tickets, which show incidents and slow support, and surveys, which show the total mood."""

import numpy as np

from features.simulate.causes import CAUSE, PART
from features.simulate.life import Life, in_service, pressures, severities
from features.simulate.population import Population, account_ids
from features.simulate.rows import Columns, Text, identifiers, recorded, spread
from features.simulate.world import World

SEVERITIES = ("low", "normal", "high", "urgent")
KINDS = ("how_to", "defect", "billing", "request")
SURVEY_WEEKS = 12  # one round a quarter
ANSWERED_SHARE = 0.2


def tickets(world: World, population: Population, life: Life, generator: np.random.Generator) -> Columns:
    """Demanding accounts write many and quiet ones few, whatever their risk; incidents bring more, and worse."""
    incident, slow = severities(life, CAUSE["incident"]), severities(life, CAUSE["slow_support"])
    temper = np.where(population.demanding, 4.0, np.where(population.quiet, 0.4, 1.0))
    young = np.exp(-np.maximum(world.starts[: world.weeks, None] - population.start_day, 0) / 60)
    rate = 0.06 * np.sqrt(population.seats) * temper * (1 + 1.6 * incident + 0.5 * slow + young)
    week, account, opened = spread(generator.poisson(rate), world, generator)
    serving = in_service(population, life, day=np.floor(opened), account=account)
    week, account, opened = week[serving], account[serving], opened[serving]
    bad, tardy = incident[week, account], slow[week, account]
    answered = opened + generator.lognormal(-2.0, 0.9, len(week)) * (1 + 3 * tardy)
    resolved = answered + generator.lognormal(0.2, 1.0, len(week)) * (1 + 2.5 * tardy + bad)
    mood = 4.3 - 0.9 * tardy - 0.6 * bad + generator.normal(0.0, 1.1, len(week))
    return {
        "account_id": Text(account, account_ids(population)),
        "ticket_id": identifiers("T", account),
        "opened_at": opened,
        "first_response_at": answered,
        "resolved_at": resolved,
        "severity": Text(np.clip(generator.poisson(0.9 + 0.8 * bad), 0, 3), np.array(SEVERITIES)),
        "kind": Text(_kinds(bad, generator), np.array(KINDS)),
        "escalated": generator.random(len(week)) < 0.04 + 0.10 * (tardy > 0) + 0.05 * (bad > 0),
        "csat": np.where(generator.random(len(week)) < 0.3, np.clip(np.round(mood), 1, 5), np.nan),
        "recorded_at": recorded(opened, 0.03, generator),
    }


def surveys(world: World, population: Population, life: Life, generator: np.random.Generator) -> Columns:
    """Three people are asked each quarter, few answer, and the unhappy answer least; the score is the mood and noise."""
    turn = generator.integers(0, SURVEY_WEEKS, len(population.number))
    asked = np.arange(world.weeks)[:, None] % SURVEY_WEEKS == turn
    week, account, sent = spread(np.where(asked, 3, 0), world, generator)
    serving = in_service(population, life, day=np.floor(sent) - 30, account=account) & in_service(
        population, life, day=np.floor(sent), account=account
    )
    week, account, sent = week[serving], account[serving], sent[serving]
    mood = _mood(life)[week, account] + generator.normal(0.0, 0.8, len(week))
    nps = generator.random(len(week)) < 0.7
    answers = generator.random(len(week)) < ANSWERED_SHARE * np.exp(-0.25 * np.maximum(mood, 0))
    score = np.where(nps, 8.2 - 1.1 * mood, 5.6 - 0.7 * mood) + generator.normal(0.0, 1.3, len(week))
    person = generator.integers(1, 5, len(week))
    return {
        "account_id": Text(account, account_ids(population)),
        "respondent_id": Text(person, np.array(["", "person-1", "person-2", "person-3", "person-4"])),
        "kind": Text(np.where(nps, 0, 1), np.array(["nps", "csat"])),
        "sent_at": sent,
        "answered_at": np.where(answers, sent + generator.exponential(2.5, len(week)), np.nan),
        "score": np.where(answers, np.clip(np.round(score), np.where(nps, 0, 1), np.where(nps, 10, 7)), np.nan),
        "recorded_at": recorded(sent, 0.0, generator),
    }


def _mood(life: Life) -> np.ndarray:
    """All causes somebody there could name, as logit, (weeks, accounts): a symptom, not a cause."""
    hidden = [PART[part] for part in ("base", "contract", "unseen")]
    visible = life.parts.sum(axis=1) - life.parts[:, hidden].sum(axis=1)
    return visible + 0.3 * pressures(life, CAUSE["slow_support"])


def _kinds(incident: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    draw = generator.random(len(incident))
    ordinary = np.searchsorted([0.5, 0.7, 0.8], draw, side="right")
    return np.where((incident > 0) & (generator.random(len(incident)) < 0.6), 1, ordinary)
