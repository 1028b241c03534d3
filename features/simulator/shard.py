"""Simulates one shard of accounts from seeds of its own, and yields its tables one by one."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa

from features.simulator.fault_injection import inject_faults
from features.simulator.model import ground_truth
from features.simulator.model.calendar import HORIZONS, build_world, to_timestamps
from features.simulator.model.churn_causes import PARTS
from features.simulator.model.hazard import sigmoid
from features.simulator.model.parameters import Company
from features.simulator.model.population import Population, Scenario, account_ids, draw_population
from features.simulator.model.trajectories import Trajectories, simulate_trajectories
from features.simulator.tables import (
    contacts,
    invoices,
    subscriptions,
    tickets_and_surveys,
    touches_and_milestones,
    usage,
)
from features.simulator.tables.table_builder import to_arrow_table
from features.tables.contract import CONTRACT

ACCOUNTS_PER_SHARD = 1_000
TABLES = (*CONTRACT, "truth/hazards", "truth/risks", "truth/accounts")


def count_shards(company: Company) -> int:
    """The number of shards in which a company is simulated."""
    return -(-company.accounts // ACCOUNTS_PER_SHARD)


def simulate_shard(company: Company, shard: int) -> Iterator[tuple[str, pa.Table]]:
    """Every table of the contract and of the ground truth for one shard, one after another."""
    trait_seed, event_seed, table_seeds, future_seed = np.random.SeedSequence(company.seed, spawn_key=(shard,)).spawn(4)
    first = shard * ACCOUNTS_PER_SHARD
    numbers = np.arange(first, min(first + ACCOUNTS_PER_SHARD, company.accounts))
    world = build_world(company)
    population = draw_population(world, numbers, generator=np.random.default_rng(trait_seed))
    trajectories = simulate_trajectories(Scenario(world, population), event_seed)
    yield from raw_tables(trajectories, table_seeds)
    yield "truth/hazards", _hazard_table(trajectories)
    yield "truth/risks", _risk_table(trajectories, np.random.default_rng(future_seed))
    yield "truth/accounts", _outcome_table(trajectories)


def raw_tables(trajectories: Trajectories, seeds: np.random.SeedSequence) -> Iterator[tuple[str, pa.Table]]:
    """Every table draws from its own generator, so a change in one table leaves the others as they were."""
    names = ("terms", *CONTRACT)
    generators = {name: np.random.default_rng(seed) for name, seed in zip(names, seeds.spawn(len(names)), strict=True)}
    terms = subscriptions.contract_terms(trajectories, generators["terms"])
    build = {
        "accounts": partial(subscriptions.accounts, trajectories.population, generators["accounts"]),
        "subscriptions": partial(subscriptions.subscriptions, trajectories, terms),
        "usage": partial(usage.usage, trajectories, terms, generator=generators["usage"]),
        "tickets": partial(tickets_and_surveys.tickets, trajectories, generators["tickets"]),
        "invoices": partial(invoices.invoices, trajectories, terms, generator=generators["invoices"]),
        "surveys": partial(tickets_and_surveys.surveys, trajectories, generators["surveys"]),
        "touches": partial(touches_and_milestones.touches, trajectories, generators["touches"]),
        "contacts": partial(contacts.contacts, trajectories, generators["contacts"]),
        "milestones": partial(touches_and_milestones.milestones, trajectories, generators["milestones"]),
        "notices": partial(subscriptions.notices, trajectories, generators["notices"]),
        "plays": partial(touches_and_milestones.plays, trajectories, generators["plays"]),
    }
    world = trajectories.world
    for name, table in CONTRACT.items():
        yield name, inject_faults(table, to_arrow_table(table, build[name](), world=world), world=world)


def _hazard_table(trajectories: Trajectories) -> pa.Table:
    """Account, day, hazard and its logit by part, float32."""
    columns = ground_truth.hazard_columns(trajectories)
    logit = np.sum([columns[part] for part in PARTS], axis=0)
    return pa.table(
        {
            "account_id": _account_id_array(trajectories.population, columns["account"]),
            "day": pa.array(to_timestamps(trajectories.world, columns["day"].astype(np.float64)), pa.timestamp("us")),
            "hazard": pa.array(sigmoid(logit)),
            **{f"logit_{part}": pa.array(columns[part]) for part in PARTS},
        }
    )


def _risk_table(trajectories: Trajectories, generator: np.random.Generator) -> pa.Table:
    """Account, month start, true probabilities with standard errors, and logit parts of that day and ahead."""
    months = range(trajectories.world.company.months + 1)
    return pa.concat_tables([_risks_of_month(trajectories, month=month, generator=generator) for month in months])


def _risks_of_month(trajectories: Trajectories, *, month: int, generator: np.random.Generator) -> pa.Table:
    risks = ground_truth.true_risks(trajectories, month=month, generator=generator)
    parts = ground_truth.logit_parts_at(trajectories, risks.account, month=month)
    as_of = np.full(len(risks.account), trajectories.world.month_starts[month], dtype=np.float64)
    return pa.table(
        {
            "account_id": _account_id_array(trajectories.population, risks.account),
            "as_of": pa.array(to_timestamps(trajectories.world, as_of), pa.timestamp("us")),
            **{f"churn_{horizon}": pa.array(risks.risk[index]) for index, horizon in enumerate(HORIZONS)},
            **{f"error_{horizon}": pa.array(risks.standard_error[index]) for index, horizon in enumerate(HORIZONS)},
            "decided": pa.array(risks.decided),
            **{f"logit_{part}": pa.array(parts[index]) for index, part in enumerate(PARTS)},
            **{f"ahead_{part}": pa.array(risks.parts_ahead[index]) for index, part in enumerate(PARTS)},
        }
    )


def _outcome_table(trajectories: Trajectories) -> pa.Table:
    """The hidden traits of each account, when it left, and whether a failed card was the reason."""
    population = trajectories.population
    churned = ground_truth.churn_day(trajectories) + population.time_of_day
    return pa.table(
        {
            "account_id": _account_id_array(population, np.arange(len(population))),
            "fit": pa.array(population.fit),
            **{trait: pa.array(getattr(population, trait)) for trait in ("demanding", "quiet", "announces")},
            "churned_at": pa.array(to_timestamps(trajectories.world, churned), pa.timestamp("us")),
            "failed_card": pa.array(trajectories.outcomes.failed_card & ~np.isnan(churned)),
        }
    )


def _account_id_array(population: Population, account: np.ndarray) -> pa.DictionaryArray:
    ids = pa.array(account_ids(population), pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(account.astype(np.int32)), ids)
