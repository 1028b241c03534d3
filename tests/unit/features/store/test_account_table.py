"""Account facts: what was known of an account on the day, and nothing that became known later."""

from datetime import datetime, timedelta

import pytest

from configs.errors import NotReady
from configs.settings import StageSettings
from features.publishing.account_table_builder import account_facts, stage_of
from features.store.account_table import AccountFacts, FactsTable, write_facts
from tests.conftest import account, raw_tables, subscription

AS_OF = datetime(2024, 5, 15)
STAGES = StageSettings()


def _days(number: float) -> datetime:
    return AS_OF + timedelta(days=number)


def _facts(**tables) -> AccountFacts:
    (one,) = account_facts(raw_tables(**tables), AS_OF, STAGES)
    return one


def test_it_says_who_looks_after_an_account_and_what_it_pays():
    one = _facts(
        accounts=[account("a", name="Acme", owner="ada", segment="mid", parent_id="b")],
        subscriptions=[subscription("a", _days(-400)), subscription("a", _days(-100), mrr=50.0)],
    )
    assert (one.name, one.owner, one.segment, one.parent_id, one.mrr) == ("Acme", "ada", "mid", "b", 150.0)


def test_an_account_without_a_running_subscription_has_no_facts():
    tables = raw_tables(accounts=[account("a")], subscriptions=[subscription("a", _days(-400), _days(-1))])
    assert list(account_facts(tables, AS_OF, STAGES)) == []


def test_it_renews_when_the_next_long_term_ends_not_with_a_monthly_add_on():
    yearly = subscription("a", _days(-300), renews_at=_days(65), term_months=12.0)
    monthly = subscription("a", _days(-10), renews_at=_days(20), term_months=1.0)
    one = _facts(accounts=[account("a")], subscriptions=[yearly, monthly])
    assert (one.renews_at, one.stage) == (_days(65), "renewing")


def test_a_monthly_account_has_a_renewal_date_but_is_not_renewing_all_its_life():
    monthly = subscription("a", _days(-10), renews_at=_days(20), term_months=1.0)
    one = _facts(accounts=[account("a")], subscriptions=[monthly])
    assert (one.renews_at, one.stage) == (_days(20), "established")


def test_it_knows_the_last_touch_by_a_person_and_the_last_play():
    one = _facts(
        accounts=[account("a")],
        subscriptions=[subscription("a", _days(-300))],
        touches=[{"account_id": "a", "at": _days(day), "kind": kind} for day, kind in ((-9, "call"), (-2, "in_app"))],
        plays=[
            {"account_id": "a", "play": "training", "assigned_at": _days(-90), "holdout": False},
            {"account_id": "a", "play": "check_in", "assigned_at": _days(-5), "holdout": True},
            {"account_id": "a", "play": "later", "assigned_at": _days(1), "holdout": False},
        ],
    )
    assert (one.touched_at, one.play, one.play_at, one.held_out) == (_days(-9), "check_in", _days(-5), True)


@pytest.mark.parametrize(
    ("since", "ends", "stage"),
    [(-89, 10, "onboarding"), (-91, 90, "renewing"), (-91, 91, "established"), (None, None, "established")],
)
def test_a_stage_begins_and_ends_at_its_days(since, ends, stage):
    begun, over = (None if days is None else _days(days) for days in (since, ends))
    assert stage_of(begun, over, AS_OF, STAGES) == stage


def test_what_is_written_is_read_back_by_id_and_by_place(tmp_path):
    known = [
        AccountFacts(
            "a", "Acme", "ada", "mid", None, "renewing", 99.5, _days(3), _days(-1), "training", _days(-4), True
        ),
        AccountFacts("Ωμέγα"),
    ]
    write_facts(tmp_path / "facts.db", AS_OF, known)
    table = FactsTable(tmp_path / "facts.db")
    assert table.as_of == AS_OF
    assert table.of(["Ωμέγα", "nobody", "a"]) == {one.account_id: one for one in known}
    assert table.at([1]) == {1: known[1]}
    assert table.columns("owner", "mrr") == {"owner": ["ada", None], "mrr": [99.5, None]}


def test_who_reads_goes_on_reading_the_day_it_opened(tmp_path):
    file = tmp_path / "facts.db"
    write_facts(file, AS_OF, [AccountFacts("a")])
    table = FactsTable(file)
    write_facts(file, _days(1), [AccountFacts("b")])
    assert table.columns("account_id") == {"account_id": ["a"]}
    assert FactsTable(file).as_of == _days(1)


def test_before_anything_is_published_it_says_so(tmp_path):
    with pytest.raises(NotReady, match="have not been published"):
        FactsTable(tmp_path / "facts.db")
