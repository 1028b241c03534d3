"""Simulated accounts for the trend benchmark, week by week: ordinary ones, constant ones, and planted declines.

Renewals do not matter in this company: what an account risks follows its causes. A constant account has no cause at
any time, so that its hazard is the same every day while its usage, tickets and invoices vary as they do. A planted
decline is such an account whose usage falls by 80 % from one day on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.accuracy.datasets import CONFIGS, open_simulated
from benchmarks.accuracy.runner import recipe_of
from configs.settings import Settings
from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from features.publishing.pipeline import PublishRequest, publish
from features.simulator.model.calendar import build_world
from features.simulator.model.parameters import Company
from features.simulator.model.population import Population, Scenario, draw_population
from features.simulator.model.trajectories import simulate_trajectories
from features.simulator.shard import raw_tables
from features.store.history import complete_days, published_history
from features.store.history_reader import read_history_columns, read_history_frame
from features.store.online_reader import values_from_frame
from features.store.publication import published_history_folder
from serving.accounts.disagreement import SIGNALS
from serving.accounts.trends.usage_trend import SIGNALS as USAGE_SIGNALS
from serving.accounts.trends.usage_trend import UsageChange, measure_usage
from serving.scoring.model_bundle import ModelBundle, make_bundle
from serving.scoring.scores import score_values
from serving.treeshap.kernel import Kernel
from training.evaluation.backtest import fit_split, rows_on
from training.evaluation.driver_stability import measure_stability

OBSERVED_UNTIL = datetime(2026, 7, 1)
ORDINARY, CONSTANT, PLANTED = range(3)
USAGE_LEFT = 0.2
WARMUP_DAYS = 358  # 53 weekly snapshots remain of two years
TRAINING_ACCOUNTS = 1_200
PLANTED_WEEKS = (40, 8)  # weeks before the end between which a decline begins, so that four weeks follow
NO_RENEWALS = Company(
    monthly_renewal_logit=0.0, annual_renewal_logit=0.0, manual_renewal_logit=0.0, cutoff_logit=0.0, base_logit=-8.2
)


@dataclass(frozen=True)
class TrendPanel:
    """Risks of accounts by week, shape (weeks, accounts), NaN where there is none; of which kind each account is.

    `planted_day` is the day on which a decline begins, NaT for other accounts. `last_signals` are signals of the last
    week that disagreements are made of, a row per account, NaN without a snapshot. `usage` has how usage had changed by
    each week.
    """

    bundle: ModelBundle
    days: list[datetime]
    kinds: np.ndarray
    planted_day: np.ndarray
    risks: np.ndarray
    last_signals: pd.DataFrame
    usage: Sequence[UsageChange] = ()


def simulate_panel(  # noqa: PLR0913 - a parameter for each kind of account
    folder: Path, *, ordinary: int, constant: int, planted: int, seed: int, training: int = TRAINING_ACCOUNTS
) -> TrendPanel:
    """Train on a company of ordinary accounts, and score another one with this model every week of a year."""
    bundle = _train(folder / "training", replace(NO_RENEWALS, accounts=training, seed=seed))
    counts = (ordinary, constant, planted)
    planted_day = _write_mixed(folder / "company", counts, seed + 1)
    settings = _weekly_settings(folder / "company", folder / "weekly")
    state = open_state_dir(settings)
    publish(settings, state, PublishRequest(OBSERVED_UNTIL), lambda *_: None)
    history, _ = published_history(state)
    days = sorted(complete_days(history))
    ids = [f"A{number:07d}" for number in range(sum(counts))]
    risks, usage = np.full((len(days), len(ids)), np.nan), list[UsageChange]()
    for week, day in enumerate(days):
        frame = read_history_frame(published_history_folder(state), day)
        scores = score_values(bundle, values_from_frame(frame, bundle.category_names), threads=2)
        rows = [int(account_id[1:]) for account_id in frame.index]
        risks[week, rows] = scores.risks
        signals = frame[list(USAGE_SIGNALS)].reindex(ids).astype("float64")
        usage.append(measure_usage({name: signals[name].to_numpy() for name in USAGE_SIGNALS}))
    last = read_history_columns(published_history_folder(state), days[-1], SIGNALS).reindex(ids)
    return TrendPanel(bundle, days, np.repeat(np.arange(3), counts), planted_day, risks, last, usage)


def _train(folder: Path, company: Company) -> ModelBundle:
    """The model of the newest split, with the spread of its refits, as training would register it."""
    dataset = open_simulated(company, folder, lambda _: None)
    rows, split = dataset.panel.rows, dataset.splits[0]
    model = fit_split(rows, split, recipe_of(dataset))
    train, test = rows_on(rows, split.train), rows_on(rows, split.test)
    _, spread = measure_stability(model, train, test, dataset.settings)
    return make_bundle(replace(model, margin_spread=spread), Kernel(dataset.settings.state / "compiled"))


def _weekly_settings(data: Path, state: Path) -> Settings:
    read = read_settings(CONFIGS / "oarlock.toml")
    return read.model_copy(
        update={
            "state": state.resolve(),
            "data": read.data.model_copy(update={"folder": data.resolve()}),
            "snapshots": read.snapshots.model_copy(update={"frequency": "weekly", "warmup_days": WARMUP_DAYS}),
        }
    )


def _write_mixed(folder: Path, counts: tuple[int, int, int], seed: int) -> np.ndarray:
    """Write the three kinds of accounts as one company; gives the day on which each one's decline begins."""
    first = 0
    generator = np.random.default_rng(seed)
    planted_day = np.full(sum(counts), np.datetime64("NaT", "D"))
    weeks = generator.integers(PLANTED_WEEKS[1], PLANTED_WEEKS[0], counts[PLANTED])
    planted_day[sum(counts[:PLANTED]) :] = np.datetime64(OBSERVED_UNTIL, "D") - weeks * 7
    for kind, count in enumerate(counts):
        company = replace(NO_RENEWALS, seed=seed, cause_strength=1.0 if kind == ORDINARY else 0.0)
        for name, table in _tables(company, np.arange(first, first + count), kind, seed):
            written = _thin(table, planted_day, generator) if (name, kind) == ("usage", PLANTED) else table
            file = folder / name / f"part-{kind:05d}.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(written, file, compression="zstd", store_schema=False)
        first += count
    return planted_day


def _tables(company: Company, numbers: np.ndarray, kind: int, seed: int) -> Iterator[tuple[str, pa.Table]]:
    traits, events, tables = np.random.SeedSequence(seed, spawn_key=(kind,)).spawn(3)
    world = build_world(company)
    population = draw_population(world, numbers, generator=np.random.default_rng(traits))
    if kind != ORDINARY:
        population = _without_causes(population)
    yield from raw_tables(simulate_trajectories(Scenario(world, population), events), tables)


def _without_causes(population: Population) -> Population:
    return replace(
        population,
        onset_rates=np.zeros_like(population.onset_rates),
        stall_severity=np.zeros_like(population.stall_severity),
    )


def _thin(usage: pa.Table, planted_day: np.ndarray, generator: np.random.Generator) -> pa.Table:
    """The usage with a fifth of each count from the account's planted day on, rounded at random."""
    numbers = np.char.lstrip(np.asarray(usage["account_id"].to_pylist(), dtype=str), "A").astype(int)
    days = usage["occurred_at"].to_numpy().astype("datetime64[D]")
    quantity = usage["quantity"].to_numpy().astype(float)
    thinned = np.floor(quantity * USAGE_LEFT + generator.random(len(quantity)))
    quantity = np.where(days >= planted_day[numbers], thinned, quantity)
    column = usage.schema.get_field_index("quantity")
    changed = usage.set_column(column, usage.schema.field(column), pa.array(quantity, usage.schema.field(column).type))
    return changed.filter(pa.array(quantity > 0))


def first_week_after(days: list[datetime], day: np.datetime64) -> int:
    """The index of the first week whose snapshot is after a day."""
    return int(np.searchsorted(np.array(days, dtype="datetime64[D]"), day + np.timedelta64(1, "D")))
