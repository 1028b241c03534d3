"""What the simulator must show: the limit AUC, annual churn, no give-away signal, its seconds and its memory."""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from scipy.stats import rankdata

from features.simulator.model.parameters import Company
from features.simulator.writer import write_company

HORIZON = 90
RESAMPLES = 200
SIGNALS = {
    "days to renewal": "select account_id, as_of, min(date_diff('day', as_of, renews_at)) from term group by all",
    "term months": "select account_id, as_of, min(term_months) from term group by all",
    "mrr": "select account_id, as_of, sum(mrr) from term group by all",
    "discount": "select account_id, as_of, max(discount) from term group by all",
    "auto renew": "select account_id, as_of, max(auto_renew::int) from term group by all",
    "tenure": """
        select account_id, as_of, date_diff('day', created_at, as_of) from snapshot join accounts using (account_id)""",
    "segment small": """
        select account_id, as_of, (segment = 'small')::int from snapshot join accounts using (account_id)""",
    "channel outbound": """
        select account_id, as_of, (channel = 'outbound')::int from snapshot join accounts using (account_id)""",
    "notice given": """
        select account_id, as_of, 1 from snapshot join notices using (account_id)
        where notified_at < as_of and effective_at >= as_of group by all""",
    "seat utilisation": """
        select account_id, as_of, sum(quantity) / any_value(seats)
        from term join monthly using (account_id) where event = 'active_users' and month = as_of - interval 1 month
        group by all""",
    "usage last month": """
        select account_id, as_of, sum(quantity) from snapshot join monthly using (account_id)
        where month = as_of - interval 1 month group by all""",
    "usage trend": """
        select account_id, as_of, sum(quantity) filter (month = as_of - interval 1 month)
          / sum(quantity) filter (month = as_of - interval 2 month)
        from snapshot join monthly using (account_id) where month >= as_of - interval 2 month and month < as_of
        group by all""",
    "usage against half a year": """
        select account_id, as_of, sum(quantity) filter (month = as_of - interval 1 month) / sum(quantity)
        from snapshot join monthly using (account_id) where month >= as_of - interval 6 month and month < as_of
        group by all""",
    "reports shared per seat": """
        select account_id, as_of, sum(quantity) / any_value(seats)
        from term join monthly using (account_id) where event = 'report_shared' and month = as_of - interval 1 month
        group by all""",
    "tickets in 90 days": """
        select account_id, as_of, count(*) from snapshot join tickets using (account_id)
        where recorded_at < as_of and opened_at >= as_of - interval 90 day group by all""",
    "open tickets": """
        select account_id, as_of, count(*) from snapshot join tickets using (account_id)
        where recorded_at < as_of and (resolved_at is null or resolved_at >= as_of) group by all""",
    "hours to first response": """
        select account_id, as_of, avg(date_diff('hour', opened_at, first_response_at))
        from snapshot join tickets using (account_id)
        where first_response_at < as_of and opened_at >= as_of - interval 90 day group by all""",
    "days past due": """
        select account_id, as_of, max(date_diff('day', due_at, as_of)) from snapshot join invoices using (account_id)
        where recorded_at < as_of and due_at < as_of and (paid_at is null or paid_at >= as_of) group by all""",
    "paid late in half a year": """
        select account_id, as_of, max(date_diff('day', due_at, paid_at)) from snapshot join invoices using (account_id)
        where paid_at < as_of and issued_at >= as_of - interval 180 day group by all""",
    "last nps": """
        select account_id, as_of, arg_max(score, answered_at) from snapshot join surveys using (account_id)
        where kind = 'nps' and answered_at < as_of group by all""",
    "surveys answered": """
        select account_id, as_of, count(*) from snapshot join surveys using (account_id)
        where answered_at < as_of and answered_at >= as_of - interval 180 day group by all""",
    "days since touch": """
        select account_id, as_of, date_diff('day', max("at"), any_value(as_of))
        from snapshot join touches using (account_id) where recorded_at < as_of group by all""",
    "touches in 90 days": """
        select account_id, as_of, count(*) from snapshot join touches using (account_id)
        where recorded_at < as_of and "at" >= as_of - interval 90 day group by all""",
    "champion left in half a year": """
        select account_id, as_of, 1 from snapshot join contacts using (account_id)
        where role = 'champion' and left_at < as_of and left_at >= as_of - interval 180 day group by all""",
    "new executive in half a year": """
        select account_id, as_of, 1 from snapshot join contacts using (account_id)
        where role = 'exec' and joined_at < as_of and joined_at >= as_of - interval 180 day group by all""",
    "milestones overdue": """
        select account_id, as_of, count(*) from snapshot join milestones using (account_id)
        where due_at < as_of and (reached_at is null or reached_at >= as_of) group by all""",
    "play running": """
        select account_id, as_of, 1 from snapshot join plays using (account_id)
        where assigned_at < as_of and assigned_at >= as_of - interval 90 day group by all""",
}


def opened(folder: Path) -> duckdb.DuckDBPyConnection:
    """A connection that knows every table, the mature snapshots with their answer, and usage by month."""
    connection = duckdb.connect(config={"threads": 2})
    for table in sorted(path for path in folder.iterdir() if path.is_dir() and path.name != "truth"):
        connection.sql(f"create view {table.name} as from '{table}/*.parquet'")
    connection.sql(f"create view risks as from '{folder}/truth/risks/*.parquet'")
    connection.sql(f"create view fates as from '{folder}/truth/accounts/*.parquet'")
    connection.sql(f"""
        create table snapshot as
        select account_id, as_of, churn_{HORIZON} as risk,
          coalesce(churned_at < as_of + interval {HORIZON} day, false) as churned
        from risks join fates using (account_id)
        where as_of + interval {HORIZON} day <= (select max(as_of) from risks) order by account_id, as_of""")
    connection.sql("""
        create table term as select * from snapshot join subscriptions using (account_id)
        where started_at < as_of and (ended_at is null or ended_at >= as_of)""")
    connection.sql("""
        create table monthly as
        select account_id, event, date_trunc('month', occurred_at) as month, sum(quantity) as quantity
        from usage group by all""")
    return connection


def auc(score: np.ndarray, churned: np.ndarray) -> float:
    """Area under the ROC curve, ties counted half."""
    ranks, churners = rankdata(score), churned.sum()
    return float((ranks[churned].sum() - churners * (churners + 1) / 2) / (churners * (~churned).sum()))


def interval(snapshots: pd.DataFrame, generator: np.random.Generator) -> tuple[float, float]:
    """95 % interval of the limit AUC; accounts, not snapshots, are resampled."""
    groups = list(snapshots.groupby("account_id").indices.values())
    draws = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([groups[index] for index in generator.integers(0, len(groups), len(groups))])
        draws.append(auc(snapshots["risk"].to_numpy()[rows], snapshots["churned"].to_numpy()[rows]))
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def annual_churn(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Of the accounts running at the start of each year, the share that left in it."""
    return connection.sql("""
        with whole_years as (
          select distinct as_of as year from risks, (select min(as_of) as first, max(as_of) as last from risks)
          where date_diff('month', first, as_of) % 12 = 0 and as_of + interval 1 year <= last)
        select year::date as year, count(*) as accounts,
          avg(coalesce(churned_at < year + interval 1 year, false)::int) as churn
        from whole_years join risks on as_of = year join fates using (account_id) group by all order by all""").df()


def single_signals(connection: duckdb.DuckDBPyConnection) -> dict[str, float]:
    """AUC of each obvious column alone, whichever way it points; missing values are put where they score best."""
    return dict(
        sorted(((name, _single(connection, query)) for name, query in SIGNALS.items()), key=lambda item: -item[1])
    )


def _single(connection: duckdb.DuckDBPyConnection, query: str) -> float:
    frame = connection.sql(f"""
        select churned, value from snapshot left join ({query}) as signal(account_id, as_of, value)
        using (account_id, as_of)""").df()
    value, churned = frame["value"].astype(float), frame["churned"].to_numpy()
    filled = [value.fillna(filler).to_numpy() for filler in (-1e9, value.median(), 1e9)]
    return max(max(auc(column, churned), 1 - auc(column, churned)) for column in filled)


def main() -> None:
    """Simulate the default company and print what it must show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=2_000)
    parser.add_argument("--months", type=int, default=24)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cost-only", action="store_true", help="print seconds and memory and nothing else")
    chosen = parser.parse_args()
    company = Company(accounts=chosen.accounts, months=chosen.months, seed=chosen.seed)
    with tempfile.TemporaryDirectory() as folder:
        _print_cost(company, Path(folder) / "company", workers=chosen.workers)
        if not chosen.cost_only:
            _print_shape(Path(folder) / "company")


def _print_cost(company: Company, folder: Path, *, workers: int) -> None:
    began = time.perf_counter()
    rows = write_company(company, folder, workers=workers)
    seconds = time.perf_counter() - began
    largest = {
        process: resource.getrusage(process).ru_maxrss for process in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    }
    memory = largest[resource.RUSAGE_SELF] + workers * largest[resource.RUSAGE_CHILDREN]
    print(f"{company.accounts:,} accounts x {company.months} months: {sum(rows.values()):,} rows in {seconds:.1f} s")
    print(f"at most {memory / 1024:,.0f} MB in {workers} workers and their parent together")


def _print_shape(folder: Path) -> None:
    connection = opened(folder)
    snapshots = connection.sql("from snapshot order by account_id, as_of").df()
    risk, churned = snapshots["risk"].to_numpy(), snapshots["churned"].to_numpy()
    low, high = interval(snapshots, np.random.default_rng(0))
    print(f"limit AUC at {HORIZON} days: {auc(risk, churned):.3f} ({low:.3f} to {high:.3f}) on {len(risk):,} snapshots")
    print(f"churned {churned.mean():.4f}, true risk {risk.mean():.4f}")
    for year, accounts, churn in annual_churn(connection).itertuples(index=False):
        print(f"annual churn from {year:%Y-%m-%d}: {churn:.3f} of {accounts:,} accounts")
    for name, value in single_signals(connection).items():
        print(f"  {value:.3f}  {name}")


if __name__ == "__main__":
    main()
