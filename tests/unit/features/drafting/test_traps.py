"""The traps of other people's files: each is named, asked or handled right, and none is guessed in silence."""

import itertools
import json
import math
import sqlite3
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from configs.errors import ConfigError
from tests.support.companies.company_files import Rows, company_rows, write_company, write_csv
from tests.support.companies.drafted_company import Company, Unanswered, notes

Rewrite = Callable[[dict[str, Rows]], None]


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return Company(tmp_path)


def set_column(table: str, column: str, value: Callable[[dict], object]) -> Rewrite:
    """A change of a company: a column of a table, from each row."""

    def change(tables: dict[str, Rows]) -> None:
        for row in tables[table]:
            row[column] = value(row)

    return change


def number(row: dict) -> int:
    """The number of the account of a row of contracts or customers."""
    return int(str(row.get("customer_id", row.get("id")))[1:])


def epoch(day: date) -> int:
    """The seconds from the beginning of 1970 to a day."""
    return 86_400 * (day - date(1970, 1, 1)).days


START = [datetime(2024, 1, 1), datetime(2024, 1, 4), datetime(2024, 1, 7)]
DATES = {
    "day first": (lambda row: f"{row['start_date']:%d.%m.%Y}", "dates are day first"),
    "month first": (lambda row: f"{row['start_date']:%m/%d/%Y}", "dates are month first"),
    "epoch seconds": (lambda row: epoch(row["start_date"]), "written as epoch_seconds"),
    "epoch milliseconds": (lambda row: 1000 * epoch(row["start_date"]), "written as epoch_milliseconds"),
    "names of months": (lambda row: f"{row['start_date']:%b %d, %Y}", "written as %b %d, %Y"),
    "year and slashes": (lambda row: f"{row['start_date']:%Y/%m/%d}", "written as %Y/%m/%d"),
    "digits only": (lambda row: f"{row['start_date']:%Y%m%d}", "written as %Y%m%d"),
    "two digits of a year": (lambda row: f"{row['start_date']:%d/%m/%y}", "written as %d/%m/%y"),
    "zones": (lambda row: f"{row['start_date']}T02:00:00+02:00", ""),
    "UTC": (lambda row: f"{row['start_date']}T00:00:00.000Z", ""),
}  # fmt: skip


@pytest.mark.parametrize("style", DATES)
def test_dates_in_any_style_are_the_same_days(company, style):
    write, note = DATES[style]
    set_column("contracts", "start_date", write)(company.tables)
    for row in company.tables["contracts"]:
        del row["end_date"]
    company.write()
    assert note in notes(company.drafted())
    assert company.column("subscriptions", "started_at")[:3] == START


def test_two_orders_of_dates_in_a_file_are_asked(company):
    set_column("contracts", "start_date", lambda row: f"{row['start_date']:%d/%m/%Y}")(company.tables)
    company.tables["contracts"][3]["start_date"] = "01/25/2024"
    company.write()
    with pytest.raises(Unanswered, match=r"dates\.contracts"):
        company.drafted()


def test_times_without_a_zone_are_assumed_to_be_utc_and_named(company):
    set_column("contracts", "start_date", lambda row: f"{row['start_date']} 12:00:00")(company.tables)
    company.write()
    assert "time_zone.contracts = UTC" in notes(company.drafted())
    assert company.column("subscriptions", "started_at")[0] == datetime(2024, 1, 1, 12)


def test_the_hour_of_daylight_saving_is_that_of_the_zone(company):
    set_column("contracts", "start_date", lambda row: f"{row['start_date']} 12:00:00")(company.tables)
    company.write()
    company.drafted(time_zone="Europe/Berlin")
    started = company.column("subscriptions", "started_at")
    assert (started[0].hour, started[-1].hour) == (11, 10)


@pytest.mark.parametrize("sentinel", ["9999-12-31", "1900-01-01", "0001-01-01", "2999-12-31"])
def test_a_day_that_stands_for_none_is_no_end(company, sentinel):
    set_column("contracts", "end_date", lambda row: row["end_date"] or sentinel)(company.tables)
    company.write()
    assert f"{sentinel} stands for no date in 40 rows" in notes(company.drafted())
    assert company.column("subscriptions", "ended_at").count(None) == 40


@pytest.mark.parametrize("word", ["NULL", "N/A", "-", "None"])
def test_a_word_for_an_empty_cell_is_empty(company, word):
    set_column("contracts", "end_date", lambda row: row["end_date"] or word)(company.tables)
    company.write()
    assert "means an empty cell" in notes(company.drafted())
    assert company.column("subscriptions", "ended_at").count(None) == 40


NUMBERS = {
    "a decimal comma": (lambda row: f"{row['mrr']},50", 100.5),
    "thousands and a comma": (lambda row: f"1.{row['mrr']},50", 1100.5),
    "thousands and a point": (lambda row: f"1,{row['mrr']}.50", 1100.5),
    "a sign of a currency": (lambda row: f"€{row['mrr']}.50", 100.5),
    "a code of a currency": (lambda row: f"{row['mrr']}.50 EUR", 100.5),
}


@pytest.mark.parametrize("style", NUMBERS)
def test_numbers_in_any_style_are_the_same(company, style):
    write, first = NUMBERS[style]
    set_column("contracts", "mrr", write)(company.tables)
    company.write()
    company.drafted()
    assert company.column("subscriptions", "mrr")[0] == first


def test_a_comma_that_could_separate_thousands_is_asked(company):
    set_column("contracts", "mrr", lambda row: f"1,{row['mrr']}")(company.tables)
    company.write()
    with pytest.raises(Unanswered, match=r"comma\.mrr"):
        company.drafted()
    company.drafted(comma="thousands")
    assert company.column("subscriptions", "mrr")[0] == 1100


IDS = {
    "leading zeros": (lambda n: f"{n:05}", str, "without leading zeros"),
    "a number with .0": (str, lambda n: f"{n}.0", "without .0"),
    "capitals": (lambda n: f"C{n}", lambda n: f"c{n}", "in lower case"),
    "outer spaces": (lambda n: f"C{n}", lambda n: f" C{n} ", "without outer spaces"),
}


@pytest.mark.parametrize("difference", IDS)
def test_ids_that_two_tools_write_differently_match(company, difference):
    in_accounts, in_contracts, note = IDS[difference]
    set_column("contracts", "customer_id", lambda row: in_contracts(number(row) + 1))(company.tables)
    set_column("customers", "id", lambda row: in_accounts(number(row) + 1))(company.tables)
    company.write()
    assert note in notes(company.drafted())
    assert set(company.column("subscriptions", "account_id")) == set(company.column("accounts", "account_id"))


def test_ids_of_twenty_digits_stay_whole(company):
    set_column("contracts", "customer_id", lambda row: 90071992547409930000 + number(row))(company.tables)
    set_column("customers", "id", lambda row: 90071992547409930000 + number(row))(company.tables)
    company.write()
    company.drafted()
    assert company.column("subscriptions", "account_id")[0] == "90071992547409930000"


def test_ids_of_merged_accounts_are_counted_and_named(company):
    company.tables["contracts"][5]["customer_id"] = "OLD-5"
    company.write()
    assert "1 of 60 accounts are not in accounts, such as OLD-5" in notes(company.drafted())


LEFT_OUT = {
    "a flag of tests": ("customers", "is_test", lambda row: number(row) == 1, "is_test is true in 1 of 60"),
    "an address of tests": (
        "customers", "email", lambda row: "x@example.com" if number(row) == 1 else "a@b.de",
        "'email' reads like a test",
    ),
    "deleted rows": ("contracts", "is_deleted", lambda row: number(row) == 1, "is_deleted is true in 1 of 60"),
    "a flag of trials": ("contracts", "is_trial", lambda row: number(row) == 1, "is_trial is true in 1 of 60"),
    "a plan called trial": (
        "contracts", "plan", lambda row: "Free Trial" if number(row) == 1 else "pro",
        "'plan' says free or trial in 1 of 60",
    ),
    "a status of trials": (
        "contracts", "status", lambda row: "trialing" if number(row) == 1 else "active", "'status' says free or trial",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", LEFT_OUT)
def test_rows_that_are_no_customers_are_left_out_and_named(company, kind):
    table, column, value, note = LEFT_OUT[kind]
    set_column(table, column, value)(company.tables)
    company.write()
    assert note in notes(company.drafted())
    assert "C001" not in company.column("subscriptions", "account_id")
    assert len(company.column("subscriptions", "account_id")) == 59


def test_amounts_of_several_currencies_need_rates(company):
    set_column("contracts", "currency", lambda row: "USD" if number(row) == 0 else "EUR")(company.tables)
    company.write()
    with pytest.raises(Unanswered, match="currency"):
        company.drafted()
    draft = company.drafted(currency="EUR=1,USD=0.5")
    assert company.column("subscriptions", "mrr")[:2] == [50, 101]
    assert 'currency = "EUR"' in draft.mapping.splitlines()


def test_without_a_rate_of_1_the_currency_of_the_reports_is_not_known(company):
    set_column("contracts", "currency", lambda row: "USD" if number(row) == 0 else "EUR")(company.tables)
    company.write()
    draft = company.drafted(currency="EUR=1.1,USD=0.5")
    assert '# currency = "EUR"' in draft.mapping.splitlines()


def test_every_currency_of_many_is_asked_for(company):
    set_column("contracts", "currency", lambda row: f"X{chr(65 + number(row) % 20)}Y")(company.tables)
    company.write()
    company.drafted(currency=",".join(f"X{chr(65 + code)}Y={code + 1}" for code in range(20)))
    assert company.column("subscriptions", "mrr")[19] == 20 * 119


@pytest.mark.parametrize("decimal", [".", ","])
def test_an_amount_in_a_currency_that_came_later_is_no_number(company, decimal):
    codes = {0: "USD", 1: "", 2: "n/a"}
    company.tables["invoices"] = [
        {
            "invoice_id": f"I{n}",
            "customer_id": f"C{n:03}",
            "issued_at": "2024-05-01",
            "amount": f"1{n}{decimal}50",
            "currency": codes.get(n, "EUR"),
        }
        for n in range(6)
    ]
    company.write()
    draft = company.drafted(currency="EUR=2,USD=4")
    assert "'currency' is empty in 2 rows: their amount is not known, and validation reports them" in notes(draft)
    company.tables["invoices"][5]["currency"] = "JPY"
    company.write()
    amounts = company.column("invoices", "amount")
    assert [amounts[0], *amounts[3:5]] == [42, 27, 29]
    assert all(map(math.isnan, (*amounts[1:3], amounts[5])))


def test_an_amount_in_a_second_currency_that_came_later_is_no_number(company):
    set_column("contracts", "currency", lambda row: {0: "", 1: "n/a", 2: "eur "}.get(number(row), "EUR"))(
        company.tables
    )
    company.write()
    assert "mrr: all amounts are in EUR ('currency'); one in another is NaN" in company.drafted().mapping
    company.tables["contracts"][3]["currency"] = "USD"
    company.write()
    prices = company.column("subscriptions", "mrr")
    assert [*prices[:3], prices[4]] == [100, 101, 102, 104]
    assert math.isnan(prices[3])


def test_a_column_with_too_many_values_to_look_for_spellings_is_named(company):
    company.tables |= {"events": company_rows()["events"]}
    numbers = itertools.count()
    set_column("events", "event", lambda _: f"page {next(numbers) % 501}")(company.tables)
    company.write()
    assert "event: 501 distinct values are more than the 500 in which words that differ only" in notes(
        company.drafted()
    )


def test_days_with_a_year_of_two_digits_are_asked_if_both_orders_fit(company):
    set_column("contracts", "start_date", lambda row: f"{row['start_date'].replace(day=2):%d/%m/%y}")(company.tables)
    company.write()
    with pytest.raises(Unanswered, match=r"dates\.start_date"):
        company.drafted()
    company.drafted(dates="month_first")
    assert company.column("subscriptions", "started_at")[0] == datetime(2024, 2, 1)


def test_a_period_in_months_is_asked_once(company):
    set_column("contracts", "price", lambda row: 12 * row.pop("mrr"))(company.tables)
    set_column("contracts", "interval", lambda row: 24 if number(row) else 6)(company.tables)
    company.write()
    draft = company.drafted(price_period="period")
    assert [answer.question.key for answer in draft.decisions.answers].count("price_period") == 1
    assert company.column("subscriptions", "mrr")[:2] == [200, 50.5]


def test_a_period_that_is_not_known_is_named(company):
    set_column("contracts", "price", lambda row: row.pop("mrr"))(company.tables)
    set_column("contracts", "interval", lambda row: "month" if number(row) else "fortnight")(company.tables)
    company.write()
    assert "'interval' = 'fortnight' is no period that is known" in notes(company.drafted())


PRICES = {
    "arr": (lambda row: 12 * row["mrr"], "is a yearly amount"),
    "mrr_cents": (lambda row: 100 * row["mrr"], "is in cents"),
}


@pytest.mark.parametrize("name", PRICES)
def test_a_price_in_another_unit_is_monthly(company, name):
    value, comment = PRICES[name]
    set_column("contracts", name, value)(company.tables)
    for row in company.tables["contracts"]:
        del row["mrr"]
    company.write()
    assert comment in company.drafted().mapping
    assert company.column("subscriptions", "mrr")[0] == 100


def test_a_price_in_another_unit_that_is_no_number_is_reported_and_not_the_end_of_it(company):
    prices = {0: "1200,50", 1: "on request"}
    set_column("contracts", "arr", lambda row: prices.get(number(row), f"{12 * row['mrr']}"))(company.tables)
    for row in company.tables["contracts"]:
        del row["mrr"]
    company.write()
    company.drafted()
    first, second, third = company.column("subscriptions", "mrr")[:3]
    assert (first, third) == (1200.5 / 12, 102)
    assert math.isnan(second)


def test_a_price_of_a_year_is_asked_where_its_period_stands_beside_it(company):
    set_column("contracts", "price", lambda row: 1200 if number(row) == 0 else row.pop("mrr"))(company.tables)
    set_column("contracts", "interval", lambda row: "year" if number(row) == 0 else "month")(company.tables)
    del company.tables["contracts"][0]["mrr"]
    company.write()
    with pytest.raises(Unanswered, match="price_period"):
        company.drafted()
    company.drafted(price_period="period")
    assert company.column("subscriptions", "mrr")[0] == 100


def test_a_price_that_was_overwritten_at_the_end_is_not_used(company):
    set_column("contracts", "mrr", lambda row: 0 if row["end_date"] else row["mrr"])(company.tables)
    company.write()
    assert "mrr knows the future: it is empty or 0 in 20 of 20 ended subscriptions" in notes(company.drafted())
    assert set(company.column("subscriptions", "mrr")) == {1}


def test_seats_that_were_overwritten_at_the_end_are_left_out(company):
    set_column("contracts", "seats", lambda row: 0 if row["end_date"] else 5)(company.tables)
    company.write()
    assert "seats knows the future" in notes(company.drafted())
    assert set(company.column("subscriptions", "seats")) == {None}


def test_a_renewal_that_is_overwritten_at_each_renewal_is_left_out(company):
    set_column("contracts", "renews_at", lambda row: date(2026, 3, 1) if not row["end_date"] else row["end_date"])(
        company.tables
    )
    company.write()
    assert "renews_at knows the future" in notes(company.drafted())
    assert "renews_at" not in company.drafted().mapping.partition("[tables]")[2].replace("# renews_at", "")


def test_a_reason_that_only_accounts_that_left_have_is_named(company):
    left = {row["customer_id"] for row in company.tables["contracts"] if row["end_date"]}
    set_column("customers", "industry", lambda row: "too expensive" if row["id"] in left else "")(company.tables)
    company.write()
    assert "'industry' knows the future: it is set in 20 of 20 accounts that left" in notes(company.drafted())


def test_an_end_that_only_the_accounts_have_is_taken(company):
    ends = {row["customer_id"]: row.pop("end_date") for row in company.tables["contracts"]}
    set_column("customers", "churn_date", lambda row: ends[row["id"]])(company.tables)
    company.write()
    assert "'churn_date' of customers ends the subscriptions" in notes(company.drafted())
    assert company.column("subscriptions", "ended_at").count(None) == 40


def test_a_status_without_a_day_is_no_end(company):
    set_column("contracts", "status", lambda row: "cancelled" if row.pop("end_date") else "active")(company.tables)
    company.write()
    assert "no column says when a subscription ended. 'status' says who left, but not when" in notes(company.drafted())


def test_a_cancellation_that_is_yet_to_come_is_named(company):
    company.tables["contracts"][1]["end_date"] = date(2026, 12, 31)
    company.write()
    assert "1 of 21 ends are after" in notes(company.drafted())


@pytest.mark.parametrize(("reduced", "mrr"), [(200, [200, 160, 200]), (160, [200, 160, 200])])
def test_prices_that_are_the_same_with_a_discount_are_before_it(company, reduced: int, mrr: list[float]):
    set_column("contracts", "plan", lambda row: f"plan {number(row) // 2 % 4}")(company.tables)
    set_column("contracts", "discount", lambda row: 0.2 * (number(row) % 2))(company.tables)
    set_column("contracts", "mrr", lambda row: reduced if number(row) % 2 else 200)(company.tables)
    for row in company.tables["contracts"]:
        row["seats"] = 5
    company.write()
    draft = company.drafted()
    choice, same = ("before", 4) if reduced == 200 else ("after", 0)
    assert f"price_discount = {choice}" in notes(draft)
    assert f"{same} of 4 plans with their seats cost the same with and without a discount" in notes(draft)
    assert company.column("subscriptions", "mrr")[:3] == mrr


def test_a_discount_in_percent_is_a_share(company):
    set_column("contracts", "discount", lambda _: 20)(company.tables)
    company.write()
    assert "discount goes to 20: it is read as percent" in notes(company.drafted())
    assert company.column("subscriptions", "discount")[0] == 0.2


def tickets(company: Company, **columns: object) -> None:
    company.tables["tickets"] = [
        {"id": n, "customer_id": f"C{n:03}", "created_at": "2024-09-01", **columns} for n in range(60)
    ]


def test_a_satisfaction_of_another_scale_is_left_out(company):
    tickets(company, csat=90)
    company.write()
    assert "csat is 90 to 90 where the contract has 1 to 5: left out" in notes(company.drafted())


def surveys(company: Company, *scores: int, kind: str = "CSAT") -> None:
    company.tables["surveys"] = [
        {"customer_id": f"C{n:03}", "kind": kind, "sent_at": "2024-09-01", "answered_at": "2024-09-02", "score": score}
        for n, score in enumerate(scores)
    ]


@pytest.mark.parametrize(("scale", "expected"), [("of_5", [1, 4, 7]), ("of_7", [1, 3, 5])])
def test_satisfaction_of_one_to_five_is_brought_to_the_scale_of_the_contract(company, scale, expected):
    surveys(company, 1, 3, 5)
    company.write()
    assert "none of 3 csat answers is above 5" in notes(company.drafted(scale=scale))
    assert company.column("surveys", "score") == expected


@pytest.mark.parametrize(("kind", "scores"), [("CSAT", (1, 3, 6)), ("nps", (1, 3, 5))])
def test_answers_that_have_the_scale_of_the_contract_are_as_they_are(company, kind, scores):
    surveys(company, *scores, kind=kind)
    company.write()
    assert "scale" not in notes(company.drafted())
    assert company.column("surveys", "score") == list(scores)


def test_satisfaction_beyond_the_scale_of_the_contract_is_named(company):
    surveys(company, 10, 70, 100)
    company.write()
    assert "csat answers are 10 to 100 where the contract has 1 to 7" in notes(company.drafted())


def test_words_of_another_tool_are_those_of_the_contract(company):
    tickets(company, priority="P1")
    company.write()
    assert "'P1' is read as urgent" in notes(company.drafted())
    assert set(company.column("tickets", "severity")) == {"urgent"}


def test_a_word_that_the_contract_does_not_have_is_named(company):
    tickets(company, priority="Sev-X")
    company.write()
    assert "'Sev-X' are no words of the contract" in notes(company.drafted())


def test_a_copy_of_a_file_is_left_out(company):
    company.write()
    write_csv(company.folder / "contracts (1).csv", company.tables["contracts"])
    assert "contracts (1).csv is a copy of contracts.csv" in notes(company.drafted())
    assert len(company.column("subscriptions", "mrr")) == 60


def test_exports_that_overlap_count_their_rows_once(company):
    rows: Rows = [{"customer_id": "C001", "event": "login", "timestamp": f"2024-0{n}-01"} for n in range(3, 9)]
    company.write()
    write_csv(company.folder / "events_2024-01.csv", rows[:4])
    write_csv(company.folder / "events_2024-02.csv", rows[2:])
    assert "equal_rows = once" in notes(company.drafted())
    assert 'equal_rows = "once"' in (company.folder / "mapping.toml").read_text()


def test_a_file_that_is_no_table_is_named(company):
    company.write()
    write_csv(company.folder / "notes.csv", [{"text": "hello"}])
    (company.folder / "._contracts.csv").write_bytes(b"\x00\x05")
    assert dict(company.drafted().unused) == {"notes": "none of its columns names an account (text)"}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1", "cp1252", "utf-16"])
def test_letters_are_right_in_any_encoding(company, encoding):
    company.tables["customers"][0]["name"] = "Käse “Groß”" if encoding != "latin-1" else "Käse Groß"
    for name, rows in company.tables.items():
        write_csv(company.folder / f"{name}.csv", rows, encoding=encoding if name == "customers" else "utf-8")
    company.drafted()
    assert company.column("accounts", "name")[0] == company.tables["customers"][0]["name"]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_any_delimiter_is_found(company, delimiter):
    for name, rows in company.tables.items():
        write_csv(company.folder / f"{name}.csv", rows, delimiter)
    company.drafted()
    assert company.column("subscriptions", "mrr")[0] == 100


def test_names_of_columns_are_read_in_any_case(company):
    company.tables["contracts"] = [
        dict(zip(("Contract ID", "CustomerID", "Plan", "MRR", "Start Date", "End Date"), row.values(), strict=True))
        for row in company.tables["contracts"]
    ]
    company.write()
    company.drafted()
    assert company.column("subscriptions", "mrr")[0] == 100


def test_json_lines_and_sqlite_are_sources(company):
    company.folder.mkdir()
    rows = [json.dumps(row, default=str) for row in company.tables["customers"]]
    (company.folder / "customers.jsonl").write_text("\n".join(rows))
    with sqlite3.connect(company.folder / "billing.db") as database:
        database.execute("create table contracts (contract_id, customer_id, mrr, start_date, end_date)")
        database.executemany(
            "insert into contracts values (:contract_id, :customer_id, :mrr, :start, :end)",
            [row | {"start": str(row["start_date"]), "end": None} for row in company.tables["contracts"]],
        )
    company.drafted()
    assert company.column("subscriptions", "mrr")[0] == 100


def test_accounts_without_a_file_are_those_of_the_contracts(company):
    del company.tables["customers"]
    company.write()
    assert "no file is a table of accounts: they are those of subscriptions" in notes(company.drafted())
    assert company.column("accounts", "created_at")[:3] == START


def test_usage_that_names_only_a_contract_finds_its_account(company):
    company.tables["events"] = [{"contract_id": f"K{n}", "event": "x", "timestamp": "2024-08-01"} for n in range(60)]
    company.write()
    company.drafted()
    assert company.column("usage", "account_id")[1] == "C001"


def test_a_day_far_in_the_future_does_not_move_the_end_of_the_data(company):
    company.tables["events"] = [
        {"customer_id": f"C{n % 60:03}", "event": "x", "timestamp": date(2024, 1, 1) + timedelta(days=n % 500)}
        for n in range(3000)
    ]
    company.tables["events"][7]["timestamp"] = date(2204, 1, 1)
    company.write()
    draft = company.drafted()
    assert "1 rows are dated after today" in notes(draft)
    assert "observed_until = 2025-05-15" in draft.mapping


@pytest.mark.parametrize(
    ("plans", "parts"), [(["basic", "basic"], "account and start"), (["basic", "addon"], "account, start and plan")]
)
def test_subscriptions_without_a_key_are_told_apart(company, plans: list[str], parts: str):
    contracts = [
        {name: value for name, value in row.items() if name != "contract_id"} for row in company.tables["contracts"]
    ]
    company.tables["contracts"] = [{**row, "plan": plan} for row in contracts for plan in dict.fromkeys(plans)]
    company.write()
    draft = company.drafted()
    assert f"subscription_id: the source has no key; {parts} make one" in draft.mapping
    ids = company.column("subscriptions", "subscription_id")
    assert len(set(ids)) == len(ids) == 60 * len(set(plans))


def test_the_data_end_with_the_table_that_stops_first(company):
    first = date(2024, 1, 1)
    contract = company.tables["contracts"][0]
    company.tables["contracts"] = [
        {**contract, "contract_id": f"K{n}", "customer_id": f"C{n % 60:03}", "start_date": first + timedelta(days=n)}
        for n in range(300)
    ]
    company.tables["events"] = [
        {"customer_id": f"C{n % 60:03}", "event": "x", "timestamp": first + timedelta(days=n % 340)}
        for n in range(3000)
    ]
    company.write()
    draft = company.drafted()
    assert "subscriptions: its rows stop on 2024-10-26, and other tables go on until 2024-12-05" in notes(draft)
    assert "observed_until = 2024-10-27" in draft.mapping


def test_repeated_accounts_and_gaps_are_in_the_profile(company):
    company.tables["customers"].append(dict(company.tables["customers"][0]))
    days = [date(2024, 1, 1) + timedelta(days=n if n < 200 else n + 60) for n in range(500)]
    company.tables["events"] = [
        {"customer_id": f"C{n % 60:03}", "event": "x", "timestamp": day} for n, day in enumerate(days)
    ]
    company.write()
    profiles = {profile.table: profile for profile in company.drafted().tables}
    assert profiles["accounts"].duplicates == 1
    assert (profiles["usage"].gap_days, profiles["usage"].gap_from) == (61, datetime(2024, 7, 18))


def test_a_short_history_is_said(company):
    company.tables["contracts"] = company.tables["contracts"][:20]
    company.tables["customers"] = company.tables["customers"][:20]
    for row in company.tables["contracts"]:
        row["end_date"] = ""
    company.write()
    assert "The history is 58 days, and a horizon of 30 days needs" in company.drafted().proposal.problem


def test_a_folder_of_partitions_is_one_source(company):
    company.write()
    for month in (1, 2):
        rows: Rows = [{"customer_id": "C001", "event": "login", "timestamp": f"2024-0{month}-15"}]
        write_csv(company.folder / "events" / f"month=2024-0{month}" / "part-0.csv", rows)
    assert 'files = "events/**/*.csv"' in company.drafted().mapping


def test_the_files_of_the_tables_may_be_in_folders(tmp_path):
    company = Company(tmp_path)
    for name, rows in company.tables.items():
        write_company(company.folder / "exports" / name, {"part-0": rows})
    company.drafted()
    assert company.column("subscriptions", "mrr")[0] == 100


def test_a_status_of_the_contract_that_is_set_at_its_end_is_named(company):
    set_column("contracts", "status", lambda row: "gone" if row["end_date"] else "active")(company.tables)
    company.write()
    assert "contracts: 'status' knows the future: 'gone' is the value of 20 of 20 accounts" in notes(company.drafted())


def test_a_price_that_says_no_period_is_assumed_to_be_monthly_and_named(company):
    set_column("contracts", "price", lambda row: row.pop("mrr"))(company.tables)
    company.write()
    assert "price_period = month" in notes(company.drafted())
    company.drafted(price_period="year")
    assert company.column("subscriptions", "mrr")[0] == pytest.approx(100 / 12)


def test_a_select_over_two_files_reads_both_in_one_style(company):
    company.tables["customers"][1]["name"] = "Test GmbH"
    set_column("contracts", "mrr", lambda row: f"{row['mrr']},50")(company.tables)
    set_column("contracts", "start_date", lambda row: f"{row['start_date']} 12:00:00")(company.tables)
    company.write()
    company.drafted(time_zone="Europe/Berlin")
    assert company.column("subscriptions", "mrr")[:2] == [100.5, 102.5]
    assert company.column("subscriptions", "started_at")[0] == datetime(2024, 1, 1, 11)


def test_words_that_come_after_the_draft_are_named_by_the_contract(company):
    priorities = ["P1", "HIGH", "-", "whenever", "low"]
    rows = [
        {"id": f"T{n}", "customer_id": f"C{n:03}", "created_at": f"2024-05-0{n + 1}", "priority": priority}
        for n, priority in enumerate(priorities)
    ]
    company.tables["tickets"] = rows
    company.write()
    named = notes(company.drafted())
    assert "'whenever' are no words of the contract" in named
    assert company.column("tickets", "severity") == ["urgent", "high", None, None, "low"]
    company.tables["tickets"] = [*rows, {**rows[0], "id": "T9", "customer_id": "C009", "priority": "emergency"}]
    company.write()
    assert company.column("tickets", "severity")[-1] == "emergency"


def test_the_names_that_billing_and_crm_give_are_understood(company):
    names = {"customer_id": "Customer ID", "start_date": "Start Date (UTC)", "end_date": "Ended At (UTC)"}
    company.tables["contracts"] = [
        {names.get(key, key): value for key, value in row.items()} for row in company.tables["contracts"]
    ]
    for row in company.tables["customers"]:
        row["Company name"] = "QA sandbox" if row["id"] == "C004" else row["name"]
        del row["name"]
    company.write()
    draft = company.drafted()
    assert company.column("subscriptions", "started_at")[:3] == START
    assert "'Company name' reads like a test in 1 of 60 rows" in notes(draft)


def test_a_file_named_like_subscriptions_is_not_left_out_unasked(company):
    company.tables |= {"events": company_rows()["events"]}
    for row in company.tables["contracts"]:
        row["first day"] = row.pop("start_date")
    company.write()
    with pytest.raises(Unanswered, match=r"unused\.contracts"):
        company.drafted()
    draft = company.drafted(unused="without")
    assert draft.proposal.mode == "inactivity"
    assert "has no column for started_at (such as started_at, start_date, started, start)" in draft.unused["contracts"]


def test_the_state_folder_is_no_source(company):
    company.write()
    state = company.folder / "state" / "acme"
    write_csv(state / "converted" / "subscriptions.csv", company.tables["contracts"])
    (state / "owner.json").write_text('{"dataset": "mapping.toml"}', "utf-8")
    assert not company.drafted().unused


@pytest.mark.parametrize("rates", ["EUR=1", "EUR=1,USD=", "0.92", "EUR=1,USD=-2"])
def test_rates_that_leave_a_currency_without_one_are_refused(company, rates):
    set_column("contracts", "currency", lambda row: ("EUR", "USD")[number(row) % 2])(company.tables)
    company.write()
    with pytest.raises(ConfigError, match="rate"):
        company.drafted(currency=rates)


def test_months_before_the_usage_begins_are_not_learned_from(company):
    events = company_rows()["events"]
    company.tables |= {"events": [row for row in events if str(row["timestamp"]) >= "2025-01-01"] * 20}
    for row in company.tables["contracts"][:5]:
        row["start_date"] = date(2023, 1, 1)
    company.write()
    assert "observed_from = 2025-01-01" in company.drafted().mapping


@pytest.mark.parametrize(("answer", "spellings"), [("same", {"SMB"}), ("different", {"SMB", "smb ", "Smb"})])
def test_words_in_several_spellings_are_one_group_unless_a_person_says_no(company, answer, spellings):
    others = {7: "smb ", 8: "Smb"}
    set_column("customers", "segment", lambda row: others.get(number(row), "SMB"))(company.tables)
    company.write()
    assert "it has 'Smb' beside 'SMB', 'smb ' beside 'SMB'" in notes(company.drafted(spelling=answer))
    assert set(company.column("accounts", "segment")) == spellings


def test_a_column_that_knows_the_future_is_left_out_in_any_spelling(company):
    left = {row["customer_id"] for row in company.tables["contracts"] if row["end_date"]}
    for row in company.tables["customers"]:
        row["segment"] = "churned" if row["id"] in left else "active" if number(row) % 2 else "Active"
    company.write()
    assert "'segment' knows the future" in notes(company.drafted())
    assert set(company.column("accounts", "segment")) == {None}
