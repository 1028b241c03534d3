"""A label by SQL: hand-computed answers, what the query can see, and which queries and answers are refused."""

import re
import tomllib
from datetime import datetime

import pandas as pd
import pytest

from configs.errors import ConfigError, LabelsRefused
from configs.sections.label import LabelSettings
from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from features.compute.compute import select_snapshots
from features.publishing.open_dataset import open_dataset
from features.tables.raw_table import RawTable
from tests.support.companies.raw_tables import account, raw_tables, subscription
from tests.support.paths import ROOT
from training.labels.build import build_labels
from training.labels.definition import describe_label, label_hash, supported_horizons
from training.labels.query_checks import raise_for_answers

START, LONG_AFTER = datetime(2022, 1, 1), datetime(2025, 1, 1)
DAY = datetime(2023, 6, 1)  # with a lead of 60 and a horizon of 90 days: from July 31 until just before October 29
USED = "select s.account_id, s.as_of, {} as churned from snapshots s left join usage u using (account_id) group by all"


def asking(query: str, lead_days: int = 0, horizon_days: int = 30) -> LabelSettings:
    return LabelSettings(mode="query", query=query, lead_days=lead_days, horizon_days=horizon_days)


def snapshots_of(*accounts: str, as_of: datetime = DAY) -> pd.DataFrame:
    return pd.DataFrame({"account_id": list(accounts), "as_of": as_of}).astype({"as_of": "datetime64[us]"})


def usage_on(*days: datetime, account_id: str = "a") -> list[dict]:
    return [{"account_id": account_id, "event": "e", "occurred_at": day} for day in days]


def invoices(account_id: str, **amounts: float) -> list[dict]:
    """An invoice on the tenth of each month, by the month's name."""
    days = {name: datetime.strptime(f"10 {name} 2023", "%d %B %Y") for name in amounts}
    return [
        {"account_id": account_id, "invoice_id": f"{account_id}-{name}", "issued_at": days[name], "amount": amount}
        for name, amount in amounts.items()
    ]


def answers(
    tables: dict[str, RawTable], label: LabelSettings, *accounts: str, until: datetime = LONG_AFTER
) -> list[float | None]:
    labels = build_labels(raw_tables(accounts=[]) | tables, snapshots_of(*accounts), label, until)
    return [None if pd.isna(answer) else answer for answer in labels]


def documented_label() -> LabelSettings:
    (block,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/how-to/label-by-query.md").read_text(), re.DOTALL)
    return LabelSettings(**tomllib.loads(block)["label"])


def test_the_documented_query_gives_the_answers_computed_by_hand():
    paid = {"March": 100.0, "April": 100.0, "May": 100.0}  # 300 in the three months before June
    tables = raw_tables(
        subscriptions=[
            subscription("stays", START),
            subscription("shrinks", START),
            subscription("halves", START),
            subscription("leaves", START, datetime(2023, 9, 1)),
            subscription("left in the lead", START, datetime(2023, 7, 1)),
            subscription("leaves later", START, datetime(2023, 10, 29)),
            subscription("never paid", START),
        ],
        invoices=[
            *invoices("stays", **paid, August=100.0, September=100.0, October=100.0),
            *invoices("shrinks", **paid, July=500.0, August=59.0, November=500.0),  # 59 of 300 is below 20 %
            *invoices("halves", **paid, August=61.0),  # 61 is not
            *invoices("leaves", **paid, August=100.0),
            *invoices("left in the lead", **paid),
            *invoices("leaves later", **paid, August=100.0),
            *invoices("never paid", August=100.0),
        ],
    )
    accounts = ("stays", "shrinks", "halves", "leaves", "left in the lead", "leaves later", "never paid")
    assert answers(tables, documented_label(), *accounts) == [0.0, 1.0, 0.0, 1.0, None, 0.0, None]


@pytest.mark.parametrize(("day", "churned"), [(30, 0.0), (31, 1.0)])
def test_a_row_counts_until_just_before_the_end_of_the_horizon(day: int, churned: float):
    tables = raw_tables(usage=usage_on(datetime(2023, 5, 1), datetime(2023, 5, 1) + pd.Timedelta(days=30 + day)))
    assert answers(tables, asking(USED.format("count(u.event) < 2")), "a") == [churned]


def test_a_value_that_became_known_after_the_horizon_is_null():
    tables = raw_tables(subscriptions=[subscription("a", START, datetime(2023, 7, 1))])
    ended = USED.replace("usage u", "subscriptions u").format("bool_or(u.ended_at is not null)")
    assert answers(tables, asking(ended), "a") == [0.0]
    assert answers(tables, asking(ended, horizon_days=31), "a") == [1.0]


def test_each_day_has_a_horizon_of_its_own():
    tables = raw_tables(accounts=[], usage=usage_on(datetime(2023, 6, 15)))
    days = pd.concat([snapshots_of("a", as_of=datetime(2023, month, 1)) for month in (7, 6, 5)], ignore_index=True)
    used = USED.format("count(u.event) filter (u.occurred_at >= s.begins) = 0")
    assert build_labels(tables, days, asking(used), LONG_AFTER).tolist() == [1.0, 0.0, 1.0]


def test_the_tables_end_with_the_calendar_months_of_the_horizon():
    tables = raw_tables(accounts=[], usage=usage_on(datetime(2023, 3, 15), datetime(2023, 8, 15)))
    days = pd.concat([snapshots_of("a", as_of=datetime(2023, month, 15)) for month in (2, 7)], ignore_index=True)
    used = USED.format("count(u.event) filter (u.occurred_at >= s.begins) = 0")
    label = LabelSettings(mode="query", query=used, horizon_months=1)
    assert build_labels(tables, days, label, LONG_AFTER).tolist() == [1.0, 1.0]
    a_day_earlier = raw_tables(accounts=[], usage=usage_on(datetime(2023, 3, 14), datetime(2023, 8, 14)))
    assert build_labels(a_day_earlier, days, label, LONG_AFTER).tolist() == [0.0, 0.0]


def test_an_immature_snapshot_has_no_label():
    tables = raw_tables(usage=usage_on(DAY))
    label = asking(USED.format("true"))
    assert answers(tables, label, "a", until=datetime(2023, 6, 30)) == [None]
    assert answers(tables, label, "a", until=datetime(2023, 7, 1)) == [1.0]


def test_rows_of_other_accounts_and_days_are_no_answers():
    query = "select account_id, as_of, false as churned from snapshots union all select 'b', date '2023-06-01', true"
    assert answers(raw_tables(), asking(query), "a") == [0.0]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (f"{USED.format('true')} union all {USED.format('true')}", "more than one answer for account a on 2023-06-01"),
        (USED.format("true").replace("left join", "join"), "no answer for account a on 2023-06-01"),
        (USED.format("count(*)"), "answers with BIGINT, not with true or false"),
        (USED.format("'yes'"), "answers with VARCHAR, not with true or false"),
        (USED.format("1.0"), "answers with DECIMAL"),
    ],
)
def test_answers_that_are_no_labels_are_refused(query: str, message: str):
    with pytest.raises(LabelsRefused, match=re.escape(message)):
        answers(raw_tables(usage=[]), asking(query), "a")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (f"select * from '{ROOT}/README.md'", "which is not a source"),
        (f"select * from read_text('{ROOT}/README.md')", "calls read_text"),
        ("select * from 'https://example.com/labels.csv'", "which is not a source"),
        ("select * from notices", "reads 'notices', which is not a source"),
        ('select * from "stored rows of usage"', "which is not a source"),
        ("attach 'x.db'", "is not one SELECT but ATTACH"),
        (f"{USED.format('true')}; copy usage to 'x.csv'", "is not one SELECT but SELECT and COPY"),
        (USED.format("random() < 0.5"), "uses random, which is another value each time it runs"),
        (USED.format("bool_or(u.occurred_at < now())"), "uses now,"),
        (USED.format("bool_or(u.occurred_at < current_date)"), "uses current_date,"),
        ("select account_id, as_of, true as churned from snapshots tablesample 50%", "uses a sample"),
        ("select account_id, as_of from snapshots", "returns the columns account_id, as_of"),
        ("select account_id, '2023' as as_of, true as churned from snapshots", "returns as_of as VARCHAR"),
        (USED.format("u.ended_at is null"), "ended_at"),
        ("selec", "is not SQL"),
    ],
)
def test_a_query_that_cannot_be_run_is_refused(query: str, message: str):
    with pytest.raises(ConfigError, match=re.escape(message)):
        answers(raw_tables(usage=usage_on(DAY)), asking(query), "a")


def test_the_mode_and_the_query_come_together():
    with pytest.raises(ValueError, match="needs the setting query"):
        LabelSettings(mode="query")
    with pytest.raises(ValueError, match="no other mode has it"):
        LabelSettings(query="select 1")
    with pytest.raises(ValueError, match="every other mode has its own"):
        LabelSettings(risk_set="active")


def test_a_company_without_contracts_asks_about_its_active_accounts(make_company):
    query = USED.format("count(u.event) filter (u.occurred_at >= s.begins) = 0")
    config = make_company(
        f'[label]\nmode = "query"\nrisk_set = "active"\nactive_within_days = 60\nquery = "{query}"\n',
        accounts=[account("a"), account("b")],
        usage=[*usage_on(datetime(2023, 5, 20)), *usage_on(datetime(2023, 1, 20), account_id="b")],
    )
    settings = read_settings(config)
    opened = open_dataset(settings, open_state_dir(settings))
    assert list(select_snapshots(opened.tables, DAY, opened.required_activity_days).to_pandas().account_id) == ["a"]
    labels = build_labels(opened.tables, snapshots_of("a"), settings.label, LONG_AFTER)
    assert labels.tolist() == [1.0]


def test_the_way_in_which_a_query_is_written_is_no_part_of_its_identity():
    label, same = asking(USED.format("true")), asking(f"-- all\n{USED.format('TRUE')}  ".replace("select", "SELECT\n"))
    assert label_hash(same) == label_hash(label)
    assert describe_label(same) == describe_label(label)
    assert label_hash(asking(USED.format("false"))) != label_hash(label)
    assert label_hash(asking(USED.format("u.event = 'A'"))) != label_hash(asking(USED.format("u.event = 'a'")))


def test_a_query_answers_for_one_horizon():
    assert supported_horizons(asking(USED.format("true")))[0] == (30,)


def refusal(used: dict[str, RawTable], churned: str, *days: datetime) -> str:
    tables, label = raw_tables(accounts=[account("a"), account("b")]) | used, asking(USED.format(churned))
    snapshots = pd.concat([snapshots_of("a", "b", as_of=day) for day in days], ignore_index=True)
    try:
        raise_for_answers(tables, snapshots, build_labels(tables, snapshots, label, LONG_AFTER), label)
    except LabelsRefused as error:
        return error.message
    return ""


@pytest.mark.parametrize(
    ("churned", "message"),
    [
        ("bool_or(coalesce(u.occurred_at < s.as_of, false))", "the same for all accounts of 2023-06-01 without what"),
        ("if(min(s.as_of) < '2023-05-02', null, count(u.event) > 1)", "has no answer but null on 2023-05-01"),
        ("count(u.event) > 1 or min(s.as_of) < '2023-05-02'", "has churned accounts only on 2023-05-01"),
        ("count(u.event) > 1", ""),
    ],
)
def test_answers_that_teach_nothing_are_refused(churned: str, message: str):
    used = raw_tables(usage=usage_on(datetime(2023, 4, 1), datetime(2023, 6, 15)))
    assert message in refusal(used, churned, datetime(2023, 5, 1), DAY)
    assert bool(message) == bool(refusal(used, churned, datetime(2023, 5, 1), DAY))
