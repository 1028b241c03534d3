"""One block of accounts: simulated wholly from its own seeds, then told table by table."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa

from features.simulator.fault_injection import broken
from features.simulator.model import ground_truth as truth
from features.simulator.model.calendar import HORIZONS, dates, world_of
from features.simulator.model.churn_causes import PARTS
from features.simulator.model.hazard import sigmoid
from features.simulator.model.parameters import Company
from features.simulator.model.population import Population, Setting, account_ids, settle
from features.simulator.model.trajectories import Life, live
from features.simulator.tables import contacts as people
from features.simulator.tables import invoices as payments
from features.simulator.tables import subscriptions as contracts
from features.simulator.tables import tickets_and_surveys as voices
from features.simulator.tables import touches_and_milestones as work
from features.simulator.tables import usage
from features.simulator.tables.table_builder import table_of
from features.tables.contract import CONTRACT

ACCOUNTS_A_BLOCK = 1_000
TABLES = (*CONTRACT, "truth/hazards", "truth/risks", "truth/accounts")


def blocks_of(company: Company) -> int:
    """How many blocks a company is simulated in."""
    return -(-company.accounts // ACCOUNTS_A_BLOCK)


def tables_of_block(company: Company, block: int) -> Iterator[tuple[str, pa.Table]]:
    """Each table of the contract and of the truth for one block, one after the other."""
    traits, events, telling, futures = np.random.SeedSequence(company.seed, spawn_key=(block,)).spawn(4)
    first = block * ACCOUNTS_A_BLOCK
    numbers = np.arange(first, min(first + ACCOUNTS_A_BLOCK, company.accounts))
    world = world_of(company)
    life = live(Setting(world, settle(world, numbers, generator=np.random.default_rng(traits))), events)
    yield from _contract_tables(life, telling)
    yield "truth/hazards", _hazards(life)
    yield "truth/risks", _risks(life, np.random.default_rng(futures))
    yield "truth/accounts", _fates(life)


def _contract_tables(life: Life, seeds: np.random.SeedSequence) -> Iterator[tuple[str, pa.Table]]:
    """Every table draws from its own generator, so that what changes one leaves the others alone."""
    names = ("terms", *CONTRACT)
    generators = {name: np.random.default_rng(seed) for name, seed in zip(names, seeds.spawn(len(names)), strict=True)}
    terms = contracts.terms_of(life, generators["terms"])
    tell = {
        "accounts": partial(contracts.accounts, life.setting.population, generators["accounts"]),
        "subscriptions": partial(contracts.subscriptions, life, terms),
        "usage": partial(usage.usage, life, terms, generator=generators["usage"]),
        "tickets": partial(voices.tickets, life, generators["tickets"]),
        "invoices": partial(payments.invoices, life, terms, generator=generators["invoices"]),
        "surveys": partial(voices.surveys, life, generators["surveys"]),
        "touches": partial(work.touches, life, generators["touches"]),
        "contacts": partial(people.contacts, life, generators["contacts"]),
        "milestones": partial(work.milestones, life, generators["milestones"]),
        "notices": partial(contracts.notices, life, generators["notices"]),
        "plays": partial(work.plays, life, generators["plays"]),
    }
    for name, table in CONTRACT.items():
        yield name, broken(table, table_of(table, tell[name](), world=life.setting.world), world=life.setting.world)


def _hazards(life: Life) -> pa.Table:
    """Account, day, hazard, and its logit by part, float32."""
    columns = truth.hazard_columns(life)
    logit = np.sum([columns[part] for part in PARTS], axis=0)
    return pa.table(
        {
            "account_id": _ids(life.setting.population, columns["account"]),
            "day": pa.array(dates(life.setting.world, columns["day"].astype(np.float64)), pa.timestamp("us")),
            "hazard": pa.array(sigmoid(logit)),
            **{f"logit_{part}": pa.array(columns[part]) for part in PARTS},
        }
    )


def _risks(life: Life, generator: np.random.Generator) -> pa.Table:
    """Account, month start, the true probabilities with their errors, and the logit parts of that day and ahead."""
    months = range(life.setting.world.company.months + 1)
    return pa.concat_tables([_risks_at(life, month=month, generator=generator) for month in months])


def _risks_at(life: Life, *, month: int, generator: np.random.Generator) -> pa.Table:
    found = truth.risks(life, month=month, generator=generator)
    parts = truth.parts_at(life, found.account, month=month)
    as_of = np.full(len(found.account), life.setting.world.months[month], dtype=np.float64)
    return pa.table(
        {
            "account_id": _ids(life.setting.population, found.account),
            "as_of": pa.array(dates(life.setting.world, as_of), pa.timestamp("us")),
            **{f"churn_{horizon}": pa.array(found.risk[index]) for index, horizon in enumerate(HORIZONS)},
            **{f"error_{horizon}": pa.array(found.error[index]) for index, horizon in enumerate(HORIZONS)},
            "decided": pa.array(found.decided),
            **{f"logit_{part}": pa.array(parts[index]) for index, part in enumerate(PARTS)},
            **{f"ahead_{part}": pa.array(found.ahead[index]) for index, part in enumerate(PARTS)},
        }
    )


def _fates(life: Life) -> pa.Table:
    """Hidden traits of each account, and when and how it left."""
    population = life.setting.population
    churned = truth.churned_day(life) + population.hour
    return pa.table(
        {
            "account_id": _ids(population, np.arange(len(population.number))),
            "fit": pa.array(population.fit),
            **{trait: pa.array(getattr(population, trait)) for trait in ("demanding", "quiet", "announces")},
            "churned_at": pa.array(dates(life.setting.world, churned), pa.timestamp("us")),
            "failed_card": pa.array(life.fate.failed_card & ~np.isnan(churned)),
        }
    )


def _ids(population: Population, account: np.ndarray) -> pa.DictionaryArray:
    words = pa.array(account_ids(population), pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(account.astype(np.int32)), words)
