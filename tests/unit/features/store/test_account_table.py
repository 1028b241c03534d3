"""The account table: what was known about an account on a day, and nothing that became known later."""

from datetime import datetime, timedelta

import pytest

from configs.errors import NotReady
from configs.sections.accounts import StageSettings
from features.publishing.account_table_builder import build_account_details, lifecycle_stage
from features.store.account_table import AccountDetails, AccountTable, write_account_table
from tests.support.companies.raw_tables import account, raw_tables, subscription

AS_OF = datetime(2024, 5, 15)
STAGES = StageSettings()


def _days_later(number: float) -> datetime:
    return AS_OF + timedelta(days=number)


def _details(**tables) -> AccountDetails:
    (details,) = build_account_details(raw_tables(**tables), AS_OF, STAGES)
    return details


def test_it_has_the_owner_and_the_revenue_of_an_account():
    details = _details(
        accounts=[account("a", name="Acme", owner="ada", segment="mid", parent_id="b")],
        subscriptions=[subscription("a", _days_later(-400)), subscription("a", _days_later(-100), mrr=50.0)],
    )
    assert (details.name, details.owner, details.segment, details.parent_id, details.mrr) == (
        "Acme",
        "ada",
        "mid",
        "b",
        150.0,
    )


def test_an_account_without_subscription_has_no_details():
    tables = raw_tables(accounts=[account("a")], subscriptions=[subscription("a", _days_later(-400), _days_later(-1))])
    assert list(build_account_details(tables, AS_OF, STAGES)) == []


def test_the_renewal_date_ignores_monthly_add_ons():
    yearly = subscription("a", _days_later(-300), renews_at=_days_later(65), term_months=12.0)
    monthly = subscription("a", _days_later(-10), renews_at=_days_later(20), term_months=1.0)
    details = _details(accounts=[account("a")], subscriptions=[yearly, monthly])
    assert (details.renews_at, details.stage) == (_days_later(65), "renewing")


def test_a_monthly_account_is_never_in_the_renewing_stage():
    monthly = subscription("a", _days_later(-10), renews_at=_days_later(20), term_months=1.0)
    details = _details(accounts=[account("a")], subscriptions=[monthly])
    assert (details.renews_at, details.stage) == (_days_later(20), "established")


def test_it_has_the_last_personal_touch_and_the_last_play():
    details = _details(
        accounts=[account("a")],
        subscriptions=[subscription("a", _days_later(-300))],
        touches=[
            {"account_id": "a", "at": _days_later(day), "kind": kind} for day, kind in ((-9, "call"), (-2, "in_app"))
        ],
        plays=[
            {"account_id": "a", "play": "training", "assigned_at": _days_later(-90), "holdout": False},
            {"account_id": "a", "play": "check_in", "assigned_at": _days_later(-5), "holdout": True},
            {"account_id": "a", "play": "later", "assigned_at": _days_later(1), "holdout": False},
        ],
    )
    assert (details.touched_at, details.play, details.play_at, details.held_out) == (
        _days_later(-9),
        "check_in",
        _days_later(-5),
        True,
    )


@pytest.mark.parametrize(
    ("since", "ends", "stage"),
    [(-89, 10, "onboarding"), (-91, 90, "renewing"), (-91, 91, "established"), (None, None, "established")],
)
def test_lifecycle_stage_by_start_and_renewal(since, ends, stage):
    started_at, renews_at = (None if days is None else _days_later(days) for days in (since, ends))
    assert lifecycle_stage(started_at, renews_at, AS_OF, STAGES) == stage


def test_a_written_table_is_read_by_id(tmp_path):
    accounts = [
        AccountDetails(
            "a",
            "Acme",
            "ada",
            "mid",
            None,
            "renewing",
            99.5,
            _days_later(3),
            _days_later(-1),
            "training",
            _days_later(-4),
            True,
        ),
        AccountDetails("Ωμέγα"),
    ]
    write_account_table(tmp_path / "accounts.db", AS_OF, accounts)
    table = AccountTable(tmp_path / "accounts.db")
    assert table.as_of == AS_OF
    assert table.details_by_id(["Ωμέγα", "nobody", "a"]) == {account.account_id: account for account in accounts}
    assert table.columns("owner", "mrr") == {"owner": ["ada", None], "mrr": [99.5, None]}


def test_an_open_table_keeps_its_day_after_a_publish(tmp_path):
    file = tmp_path / "accounts.db"
    write_account_table(file, AS_OF, [AccountDetails("a")])
    table = AccountTable(file)
    write_account_table(file, _days_later(1), [AccountDetails("b")])
    assert table.columns("account_id") == {"account_id": ["a"]}
    assert AccountTable(file).as_of == _days_later(1)


def test_before_any_publish_it_is_not_ready(tmp_path):
    with pytest.raises(NotReady, match="has not been published"):
        AccountTable(tmp_path / "accounts.db")
