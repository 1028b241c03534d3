"""The simulator: its companies obey the contract, are equal for equal seeds, and have known true risks."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from scipy.stats import rankdata

from configs.errors import ConfigError
from features.simulator.model.calendar import HORIZONS, build_world, week_by_day
from features.simulator.model.churn_causes import PART_INDEX, PARTS
from features.simulator.model.ground_truth import true_risks
from features.simulator.model.parameters import Company, Policy, Shift
from features.simulator.model.population import Scenario, draw_population
from features.simulator.model.trajectories import Trajectories, simulate_trajectories
from features.simulator.writer import write_company
from features.tables.contract import CONTRACT, TableContract

SMALL = Company(accounts=150, months=6, futures=2)
TWO_SHARDS = Company(accounts=1_040, months=2, futures=2)
PLANNED = {"due_at", "renews_at", "effective_at"}  # known plans may lie beyond the end
DUCKDB_TYPES = {"text": "VARCHAR", "number": "DOUBLE", "instant": "TIMESTAMP", "flag": "BOOLEAN"}


@pytest.fixture(scope="session")
def company(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "company"
    write_company(Company(), folder, workers=2)
    return folder


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Path:
    return create_company(SMALL, tmp_path_factory.mktemp("simulated") / "small")


@pytest.fixture(scope="session")
def clean(tmp_path_factory) -> Path:
    return create_company(TWO_SHARDS, tmp_path_factory.mktemp("simulated") / "clean")


def create_company(company: Company, folder: Path) -> Path:
    write_company(company, folder)
    return folder


def simulate(company: Company, seed: int = 3) -> Trajectories:
    world = build_world(company)
    traits, events = np.random.SeedSequence(seed).spawn(2)
    population = draw_population(world, np.arange(company.accounts), generator=np.random.default_rng(traits))
    return simulate_trajectories(Scenario(world, population), events)


def rows(folder: Path, table: str) -> str:
    return f"'{folder}/{table}/*.parquet'"


def query_one(query: str) -> Any:
    row = duckdb.sql(query).fetchone()
    assert row is not None
    return row[0] if len(row) == 1 else row


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def digests_without(folder: Path, *tables: str) -> dict[str, str]:
    return {name: digest for name, digest in digests(folder).items() if not name.startswith((*tables, "company"))}


# --- the folder ---


def test_same_seed_gives_same_bytes(small, tmp_path):
    assert digests(small) == digests(create_company(SMALL, tmp_path / "again"))


def test_different_seeds_give_different_companies(small, tmp_path):
    other = create_company(dataclasses.replace(SMALL, seed=SMALL.seed + 1), tmp_path / "other")
    first, second = digests(small), digests(other)
    assert first.keys() == second.keys()
    assert all(first[name] != second[name] for name in first)


def test_number_of_workers_does_not_change_bytes(clean, tmp_path):
    write_company(TWO_SHARDS, tmp_path / "parallel", workers=2)
    assert digests(tmp_path / "parallel") == digests(clean)


def test_an_interrupted_run_can_be_finished(clean, tmp_path):
    def interrupt(finished: int, shards: int) -> None:
        raise KeyboardInterrupt(f"{finished} of {shards}")

    folder = tmp_path / "company"
    with pytest.raises(KeyboardInterrupt, match="1 of 2"):
        write_company(TWO_SHARDS, folder, progress=interrupt)
    (folder / "usage" / "part-00000.unfinished").write_bytes(
        (folder / "usage" / "part-00000.parquet").read_bytes()[:99]
    )
    (folder / "usage" / "part-00000.parquet").unlink()
    assert not (folder / "company.json").exists()
    write_company(TWO_SHARDS, folder)
    assert digests(folder) == digests(clean)


def test_finished_company_is_left_as_it_is(small):
    before = {path: path.stat().st_mtime_ns for path in small.rglob("*.parquet")}
    write_company(SMALL, small)
    assert before == {path: path.stat().st_mtime_ns for path in small.rglob("*.parquet")}


def test_folder_of_another_company_is_refused(small):
    with pytest.raises(ConfigError, match="another company"):
        write_company(dataclasses.replace(SMALL, seed=99), small)


def test_folder_with_anything_else_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(ConfigError, match="not empty"):
        write_company(SMALL, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Company(accounts=0), "at least one account"),
        (lambda: Company(seed=-1), "seed"),
        (lambda: Company(months=6, shifts=(Shift("price", 6),)), "beyond the 6 simulated months"),
        (lambda: Shift("flood", 3), "no shift called 'flood'"),  # type: ignore[arg-type]
        (lambda: Shift("stops", 3, table="accounts"), "'accounts' cannot be broken"),
        (lambda: Policy(treated_share=1.5), "between 0 and 1"),
        (lambda: Policy(effects={"weather": 0.5}), "weather"),
    ],
)
def test_impossible_company_is_refused_in_one_sentence(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


# --- the contract ---


@pytest.mark.parametrize("table", CONTRACT.values(), ids=CONTRACT)
def test_table_obeys_the_contract(company, table: TableContract):
    source = rows(company, table.name)
    types = {name: kind for name, kind, *_ in duckdb.sql(f"describe from {source}").fetchall()}
    assert types == {name: DUCKDB_TYPES[table.columns[name].type] for name in types}
    missing = " or ".join(f'"{name}" is null' for name, column in table.columns.items() if column.required)
    assert query_one(f"select count(*) from {source} where {missing}") == 0
    accounts = rows(company, "accounts")
    assert query_one(f"select count(*) from {source} where account_id not in (select account_id from {accounts})") == 0
    if table.key:
        assert query_one(f"select count(*) - count(distinct ({', '.join(table.key)})) from {source}") == 0
    for first, second in [span for span in table.spans if set(span) <= set(types)]:
        assert query_one(f"select count(*) from {source} where {second} < {first}") == 0


@pytest.mark.parametrize("table", CONTRACT.values(), ids=CONTRACT)
def test_nothing_is_dated_after_the_end(company, table: TableContract):
    present = {name for name, *_ in duckdb.sql(f"describe from {rows(company, table.name)}").fetchall()}
    facts = [name for name in present - PLANNED if table.columns[name].type == "instant"]
    latest = ", ".join(f'max("{name}")' for name in facts)
    assert str(query_one(f"select greatest({latest}, null) from {rows(company, table.name)}")) < "2026-07-01"


def test_some_rows_become_known_days_later(company):
    for table, at in {
        "usage": "occurred_at",
        "tickets": "opened_at",
        "invoices": "issued_at",
        "touches": '"at"',
    }.items():
        late = query_one(f"select avg((recorded_at > {at} + interval 1 day)::int) from {rows(company, table)}")
        assert 0.005 < late < 0.05


def test_subscriptions_follow_each_other_without_overlap(company):
    overlaps = f"""
        select count(*) from (
          select ended_at, lead(started_at) over (partition by account_id order by started_at) as next_start
          from {rows(company, "subscriptions")})
        where next_start is not null and (ended_at is null or ended_at > next_start)"""
    assert query_one(overlaps) == 0


def test_a_renewal_begins_when_the_paid_term_ends(company):
    renewals = f"""
        select avg((next_start = renews_at)::int) from (
          select *, lead(started_at) over (partition by account_id order by started_at) as next_start,
            lead(seats) over (partition by account_id order by started_at) as next_seats
          from {rows(company, "subscriptions")})
        where next_start = ended_at and next_seats = seats"""
    assert query_one(renewals) == 1.0


# --- the ground truth ---


def test_true_churn_agrees_with_the_subscriptions(company):
    disagreements = f"""
        with last as (select account_id, max(started_at) as started_at, max(coalesce(ended_at, 'infinity')) as ended_at
                      from {rows(company, "subscriptions")} group by all)
        select count(*), sum((churned_at is not null)::int),
          sum((coalesce(churned_at, 'infinity') is distinct from last.ended_at)::int)
        from last join {rows(company, "truth/accounts")} using (account_id)"""
    accounts, churned, wrong = query_one(disagreements)
    assert accounts == 2_000 and churned > 100 and wrong == 0


def test_returns_within_grace_are_gaps_and_not_churn(company):
    gaps = f"""
        select count(*), max(next_start - ended_at) < interval 30 day from (
          select *, lead(started_at) over (partition by account_id order by started_at) as next_start
          from {rows(company, "subscriptions")})
        where next_start > ended_at"""
    count, short = query_one(gaps)
    assert count > 20 and short


def test_every_active_account_has_a_true_risk(company):
    missing = f"""
        with running as (
          select account_id, as_of from (select distinct as_of from {rows(company, "truth/risks")})
          join {rows(company, "subscriptions")} on started_at < as_of and (ended_at is null or ended_at >= as_of))
        select count(*) filter (running.account_id is null or risks.account_id is null), count(*)
        from running full join {rows(company, "truth/risks")} as risks using (account_id, as_of)"""
    wrong, all_rows = query_one(missing)
    assert wrong == 0 and all_rows > 30_000


def test_true_risks_are_probabilities_that_grow_with_the_horizon(company):
    wrong = f"""
        select count(*) from {rows(company, "truth/risks")}
        where not (churn_30 between 0 and churn_90 + 1e-12 and churn_90 <= churn_180 + 1e-12 and churn_180 <= 1)"""
    assert query_one(wrong) == 0


def test_logit_parts_sum_to_the_logit_of_the_hazard(company):
    total = " + ".join(f"logit_{part}" for part in PARTS)
    worst = (
        f"select max(abs(ln(hazard::double / (1 - hazard::double)) - ({total}))) from {rows(company, 'truth/hazards')}"
    )
    assert query_one(worst) < 1e-3  # float32


def test_daily_hazards_add_up_to_the_decisions(company):
    """Decisions to leave minus their hazards are a martingale, so their variance is the sum of h (1 - h)."""
    expected, variance = query_one(
        f"select sum(hazard), sum(hazard * (1 - hazard)) from {rows(company, 'truth/hazards')}"
    )
    decided = f"""
        select count(*) from {rows(company, "truth/accounts")} left join (
          select account_id, max(effective_at) as effective_at from {rows(company, "notices")}
          where voluntary and effective_at > notified_at group by all) using (account_id)
        where churned_at is not null or effective_at is not null"""
    assert abs(query_one(decided) - expected) < 4 * variance**0.5


@pytest.fixture(scope="session")
def outcomes() -> dict[str, np.ndarray]:
    """True risks at each quarter's start, twice from independent paths, and what happened: 100,000 outcomes."""
    companies = [simulate(Company(accounts=3_600, futures=8), seed) for seed in range(5)]
    return {
        name: np.concatenate(parts, axis=-1)
        for name, parts in zip(
            ("first", "second", "error", "churned", "month"),
            zip(
                *(_churn_outcomes(trajectories, month) for trajectories in companies for month in range(0, 24, 3)),
                strict=True,
            ),
            strict=True,
        )
    }


def _churn_outcomes(trajectories: Trajectories, month: int) -> tuple[np.ndarray, ...]:
    first = true_risks(trajectories, month=month, generator=np.random.default_rng([1, month]))
    second = true_risks(trajectories, month=month, generator=np.random.default_rng([2, month]))
    ends = trajectories.world.month_starts[month] + np.array(HORIZONS)[:, None]
    churned = trajectories.outcomes.leaves_day[first.account] < ends
    return first.risk, second.risk, second.standard_error, churned, np.full(len(first.account), month)


@pytest.mark.slow
@pytest.mark.parametrize(("horizon", "months_apart"), [(0, 3), (1, 3), (2, 6)], ids=["30 days", "90 days", "180 days"])
def test_true_risks_are_calibrated(outcomes, horizon, months_apart):
    """Overall and in ten bins the outcomes lie within four standard deviations of the true risks.

    Windows of one account do not overlap, so outcome minus risk is a martingale difference and variances add up:
    p (1 - p) for the outcome and the squared Monte Carlo error for p, which also biases p (1 - p) down by as much.
    The bins come from an independent estimate, because an estimate that selects its own bin is too high in high bins.
    """
    chosen = outcomes["month"] % months_apart == 0
    first, risk, error = (outcomes[name][horizon, chosen] for name in ("first", "second", "error"))
    churned = outcomes["churned"][horizon, chosen]
    assert len(churned) >= (100_000 if months_apart == 3 else 50_000)
    variance = risk * (1 - risk) + 2 * error**2
    bins = np.searchsorted(np.quantile(first, np.arange(0.1, 1, 0.1)), first)
    for inside in [np.ones_like(churned), *(bins == index for index in range(10))]:
        deviation = (churned[inside] - risk[inside]).sum() / np.sqrt(variance[inside].sum())
        assert abs(deviation) < 4


def test_parts_ahead_are_the_mean_of_the_next_90_days():
    """Accounts are independent, so the mean difference lies within four of its own standard errors for every part."""
    trajectories, month = simulate(Company(accounts=3_000, months=9, futures=8)), 5
    risks = true_risks(trajectories, month=month, generator=np.random.default_rng(0))
    first = int(trajectories.world.month_starts[month])
    weeks = week_by_day(trajectories.world)[first : first + 90]
    difference = trajectories.logit_parts[weeks][:, :, risks.account].mean(axis=0) - risks.parts_ahead
    standard_error = difference.std(axis=1) / np.sqrt(len(risks.account))
    assert (np.abs(difference.mean(axis=1)) <= 4 * standard_error + 1e-4).all()


def test_a_high_risk_mostly_has_one_dominant_family(company):
    """Otherwise no test could say whether a driver is the right one."""
    families = [part for part in PARTS if part not in ("base", "contract", "unseen")]
    parts = ", ".join(f"ahead_{family}" for family in families)
    clear = query_one(f"""
        select avg((heaviest[1] - heaviest[2] > 0.5)::int) from (
          select list_reverse_sort([{parts}]) as heaviest from {rows(company, "truth/risks")}
          where churn_90 > 0.1 and not decided)""")
    assert 0.5 < clear < 0.95


# --- realistic rates ---


def test_true_risks_rank_with_an_auc_below_090(company):
    """Even the true risks rank with an AUC between 0.80 and 0.90 at 90 days."""
    columns = duckdb.sql(f"""
        select churn_90, coalesce(churned_at < as_of + interval 90 day, false)
        from {rows(company, "truth/risks")} join {rows(company, "truth/accounts")} using (account_id)
        where as_of < '2026-04-01'""").fetchnumpy()
    risk, churned = (np.asarray(column) for column in columns.values())
    ranks, churners = rankdata(risk), churned.sum()
    auc = (ranks[churned].sum() - churners * (churners + 1) / 2) / (churners * (~churned).sum())
    assert 0.80 < auc < 0.90


@pytest.mark.parametrize("year", ["2024-07-01", "2025-07-01"])
def test_annual_churn_is_ordinary(company, year):
    churn = f"""
        select avg(coalesce(churned_at < as_of + interval 1 year, false)::int)
        from {rows(company, "truth/risks")} join {rows(company, "truth/accounts")} using (account_id)
        where as_of = '{year}'"""
    assert 0.08 < query_one(churn) < 0.15


def test_hazard_concentrates_around_renewals(company):
    at_renewal, all_days = query_one(f"""
        select sum(hazard) filter (logit_contract > 0), sum(hazard) from {rows(company, "truth/hazards")}""")
    assert at_renewal > 0.5 * all_days


def tickets_and_risk(company: Path, trait: str, without: str) -> list[tuple[bool, float, float]]:
    """The mean number of tickets and mean risk of accounts without and with a trait, leaving out another trait."""
    query = f"""
        with written as (select account_id, count(*) as tickets from {rows(company, "tickets")} group by all),
        mean as (select account_id, avg(churn_90) as risk from {rows(company, "truth/risks")} group by all)
        select {trait}, avg(coalesce(tickets, 0)) as tickets, avg(risk) as risk
        from {rows(company, "truth/accounts")} join mean using (account_id) left join written using (account_id)
        where not {without} group by all order by {trait}"""
    return duckdb.sql(query).fetchall()


def test_demanding_accounts_write_more_tickets_and_leave_less(company):
    (_, few, high), (_, many, low) = tickets_and_risk(company, "demanding", without="quiet")
    assert many > 2 * few and low < 0.8 * high


def test_quiet_accounts_write_fewer_tickets_and_leave_more(company):
    (_, many, low), (_, few, high) = tickets_and_risk(company, "quiet", without="demanding")
    assert few < 0.7 * many and high > 1.2 * low


def test_weekends_are_quiet(company):
    weekday, weekend = query_one(f"""
        select sum(quantity) filter (isodow(occurred_at) <= 5) / 5, sum(quantity) filter (isodow(occurred_at) > 5) / 2
        from {rows(company, "usage")} where event = 'active_users'""")
    assert weekend < 0.3 * weekday


# --- plays ---


def test_a_play_lowers_the_hazard_of_treated_accounts_only():
    without = dataclasses.replace(SMALL, policy=Policy(effects=dict.fromkeys(Policy().effects, 0.0)))
    trajectories, untreated = simulate(SMALL), simulate(without)
    change = (trajectories.logit_parts - untreated.logit_parts).sum(axis=1)
    treated = np.stack([state.treated for state in trajectories.week_states[:-1]])
    assert treated.any() and (change[~treated] == 0).all()
    assert (change[treated] <= 0).all() and change[treated].mean() < -0.2


def test_held_out_plays_do_not_start(company):
    started, held_out, share = query_one(f"""
        select count(*) filter (holdout and started_at is not null), count(*) filter (holdout), avg(holdout::int)
        from {rows(company, "plays")}""")
    assert started == 0 and held_out > 100 and 0.15 < share < 0.25


# --- known shifts ---


def shifted(*shifts: Shift) -> Company:
    return dataclasses.replace(SMALL, shifts=shifts)


def month_start(month: int) -> str:
    return str(np.datetime64("2024-07-01", "M") + month) + "-01"


def test_a_covariate_shift_changes_only_usage(small, tmp_path):
    folder = create_company(shifted(Shift("covariate", 3, strength=0.5)), tmp_path / "shifted")
    assert digests_without(small, "usage") == digests_without(folder, "usage")
    counts = "select sum(quantity) from {} where event <> 'active_users' and occurred_at {} '2024-10-01'"
    before, after = (
        query_one(counts.format(rows(folder, "usage"), side)) / query_one(counts.format(rows(small, "usage"), side))
        for side in ("<", ">=")
    )
    assert before == pytest.approx(1.0, abs=0.01) and after == pytest.approx(1.5, abs=0.02)


def test_a_concept_shift_changes_hazards_and_not_causes():
    usual, changed = simulate(SMALL), simulate(shifted(Shift("relation", 3, strength=0.8)))
    for name in ("severity", "pressure", "intensity", "renewal_month"):
        assert all(
            np.array_equal(getattr(state, name), getattr(other, name))
            for state, other in zip(usual.week_states, changed.week_states, strict=True)
        )
    assert np.array_equal(usual.logit_parts[:12], changed.logit_parts[:12])
    ratio = changed.logit_parts[12:, PART_INDEX["support"]].sum() / usual.logit_parts[12:, PART_INDEX["support"]].sum()
    assert ratio == pytest.approx(1.8, abs=0.05)


def test_a_stopped_source_leaves_the_others_unchanged(small, tmp_path):
    folder = create_company(shifted(Shift("stops", 3, table="tickets")), tmp_path / "shifted")
    assert str(query_one(f"select max(opened_at) from {rows(folder, 'tickets')}")) < month_start(3)
    assert digests_without(small, "tickets") == digests_without(folder, "tickets")


@pytest.mark.parametrize("table", ["usage", "tickets", "surveys"])
def test_a_doubled_source_arrives_twice_with_unique_keys(small, tmp_path, table):
    folder = create_company(shifted(Shift("doubles", 3, table=table)), tmp_path / "shifted")
    at = CONTRACT[table].at
    for side, times in (("<", 1), (">=", 2)):
        count = f"select count(*) from {{}} where {at} {side} '{month_start(3)}'"
        assert query_one(count.format(rows(folder, table))) == times * query_one(count.format(rows(small, table)))
    key = CONTRACT[table].key
    if key:
        assert query_one(f"select count(*) - count(distinct ({', '.join(key)})) from {rows(folder, table)}") == 0


def test_a_source_of_nulls_keeps_its_rows(small, tmp_path):
    folder = create_company(shifted(Shift("nulls", 3)), tmp_path / "shifted")
    counts = f"select count(*), count(quantity) from {{}} where occurred_at >= '{month_start(3)}'"
    full_rows, full_values = query_one(counts.format(rows(small, "usage")))
    assert query_one(counts.format(rows(folder, "usage"))) == (full_rows, 0) and full_values == full_rows


def test_price_rise_reaches_the_next_term_and_raises_the_hazard(small, tmp_path):
    change = Shift("price", 3, strength=0.2)
    folder = create_company(shifted(change), tmp_path / "shifted")
    per_seat = f"""
        select avg(mrr / seats / (1 - discount)) from {{}} where term_months = 1 and started_at > '{month_start(4)}'"""
    price_ratio = query_one(per_seat.format(rows(folder, "subscriptions"))) / query_one(
        per_seat.format(rows(small, "subscriptions"))
    )
    assert price_ratio == pytest.approx(1.2, abs=0.03)
    value = (
        simulate(shifted(change)).logit_parts[:, PART_INDEX["value"]]
        - simulate(SMALL).logit_parts[:, PART_INDEX["value"]]
    )
    assert np.allclose(value[:12], 0) and (value[12:] > 0.5).all()


def test_a_season_moves_the_hazard():
    base = simulate(shifted(Shift("season", 0, strength=0.4))).logit_parts[:, PART_INDEX["base"], 0] - SMALL.base_logit
    assert base[:12].max() == pytest.approx(0.4, abs=0.01) and abs(base[0]) < 0.01
