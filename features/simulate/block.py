"""One block of accounts: simulated wholly from its own seeds, then told table by table."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa

from features.simulate import contracts, people, truth, usage, voices
from features.simulate.broken import broken
from features.simulate.causes import PARTS
from features.simulate.company import Company
from features.simulate.life import Life, live
from features.simulate.population import Population, account_ids, settle
from features.simulate.rows import table_of
from features.simulate.world import HORIZONS, World, dates, world_of
from features.tables import CONTRACT

ACCOUNTS_A_BLOCK = 1_000
TABLES = (*CONTRACT, "truth/hazards", "truth/risks", "truth/accounts")


def blocks_of(company: Company) -> int:
    """How many blocks a company is simulated in."""
    return -(-company.accounts // ACCOUNTS_A_BLOCK)


def tables_of_block(company: Company, block: int) -> Iterator[tuple[str, pa.Table]]:
    """Each table of the contract and of the truth for one block, one after the other."""
    world = world_of(company)
    traits, course, telling, futures = np.random.SeedSequence(company.seed, spawn_key=(block,)).spawn(4)
    first = block * ACCOUNTS_A_BLOCK
    numbers = np.arange(first, min(first + ACCOUNTS_A_BLOCK, company.accounts))
    population = settle(world, numbers, np.random.default_rng(traits))
    life = live(world, population, course)
    yield from _contract_tables(world, population, life, telling)
    yield "truth/hazards", _hazards(world, population, life)
    yield "truth/risks", _risks(world, population, life, np.random.default_rng(futures))
    yield "truth/accounts", _fates(world, population, life)


def _contract_tables(
    world: World, population: Population, life: Life, seeds: np.random.SeedSequence
) -> Iterator[tuple[str, pa.Table]]:
    """Every table draws from its own generator, so that what breaks one leaves the others alone."""
    generators = dict(zip(("terms", *CONTRACT), map(np.random.default_rng, seeds.spawn(len(CONTRACT) + 1)), strict=True))
    terms = contracts.terms_of(world, population, life, generators["terms"])
    tell = {
        "accounts": lambda generator: contracts.accounts(population, generator),
        "subscriptions": lambda _: contracts.subscriptions(world, population, life, terms),
        "usage": lambda generator: usage.usage(world, population, life, terms=terms, generator=generator),
        "tickets": partial(voices.tickets, world, population, life),
        "invoices": lambda generator: contracts.invoices(world, population, life, terms=terms, generator=generator),
        "surveys": partial(voices.surveys, world, population, life),
        "touches": partial(people.touches, world, population, life),
        "contacts": partial(people.contacts, world, population, life),
        "milestones": partial(people.milestones, world, population, life),
        "notices": partial(contracts.notices, world, population, life),
        "plays": partial(people.plays, world, population, life),
    }
    for name, table in CONTRACT.items():
        yield name, broken(table, table_of(table, tell[name](generators[name]), world), world)


def _hazards(world: World, population: Population, life: Life) -> pa.Table:
    """Account, day, hazard, and its logit by part, float32."""
    columns = truth.hazard_columns(world, population, life)
    parts = {f"logit_{part}": columns[part] for part in PARTS}
    logit = np.sum(list(parts.values()), axis=0)
    return pa.table(
        {
            "account_id": _ids(population, columns["account"]),
            "day": pa.array(dates(world, columns["day"].astype(np.float64)), pa.timestamp("us")),
            "hazard": pa.array(1 / (1 + np.exp(-logit))),
            **{name: pa.array(part) for name, part in parts.items()},
        }
    )


def _risks(world: World, population: Population, life: Life, generator: np.random.Generator) -> pa.Table:
    """Account, month start, the true probabilities with their errors, and the logit parts of that day."""
    months = range(world.company.months + 1)
    return pa.concat_tables([_risks_at(world, population, life, month=month, generator=generator) for month in months])


def _risks_at(
    world: World, population: Population, life: Life, *, month: int, generator: np.random.Generator
) -> pa.Table:
    found = truth.risks(world, population, life, month=month, generator=generator)
    as_of = np.full(len(found.account), float(world.months[month]))
    parts = truth.parts_at(world, life, month=month, account=found.account)
    return pa.table(
        {
            "account_id": _ids(population, found.account),
            "as_of": pa.array(dates(world, as_of), pa.timestamp("us")),
            **{f"churn_{horizon}": pa.array(found.risk[index]) for index, horizon in enumerate(HORIZONS)},
            **{f"error_{horizon}": pa.array(found.error[index]) for index, horizon in enumerate(HORIZONS)},
            "decided": pa.array(found.decided),
            **{f"logit_{part}": pa.array(parts[index]) for index, part in enumerate(PARTS)},
        }
    )


def _fates(world: World, population: Population, life: Life) -> pa.Table:
    """Hidden traits of each account, and when and how it left."""
    churned = truth.churned_day(world, life) + population.hour
    return pa.table(
        {
            "account_id": _ids(population, np.arange(len(population.number))),
            "fit": pa.array(population.fit),
            **{name: pa.array(getattr(population, name)) for name in ("demanding", "quiet", "announces")},
            "churned_at": pa.array(dates(world, churned), pa.timestamp("us")),
            "failed_card": pa.array(life.fate.failed_card & ~np.isnan(churned)),
        }
    )


def _ids(population: Population, account: np.ndarray) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(account.astype(np.int32)), pa.array(account_ids(population), pa.string()))
