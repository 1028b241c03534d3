"""Clearing: what nothing reads any more goes, and what a training or a service reads stays."""

from datetime import datetime
from pathlib import Path

import pytest

from configs.errors import Busy, NotReady
from configs.files import exclusive_lock
from features.publishing.pipeline import Days, publish
from features.publishing.retention import Cleared, clear
from features.store.history import complete_days
from features.store.publication import published_edition
from tests.support.growing_company import TODAY, Company, found, silent

DAYS = [datetime(2023, 7, 30), datetime(2023, 7, 31)]


@pytest.fixture
def company(tmp_path: Path) -> Company:
    """A company of which two days were published that are not for training, and then the newest."""
    made = found(tmp_path / "living")
    for day in (*DAYS, TODAY):
        publish(made.settings, made.state, Days(day), silent)
    return made


def _clear(company: Company, keep_days: int | None = None) -> Cleared:
    return clear(company.state, company.settings.snapshots, keep_days)


def test_days_that_are_old_and_not_for_training_go(company):
    place, _ = published_edition(company.state)
    before = complete_days(place)
    done = _clear(company, keep_days=(TODAY - DAYS[1]).days)
    assert (done.histories, done.days, done.bytes > 0) == (0, 1, True)
    assert complete_days(place) == [day for day in before if day != DAYS[0]]
    assert len(list((place.folder / "written").iterdir())) == len(before) - 1


def test_every_day_stays_where_no_age_is_said(company):
    assert _clear(company) == Cleared(0, 0, 0)


def test_a_history_of_other_signals_goes(company):
    other = company.state.history / "of_other_signals"
    (other / "days").mkdir(parents=True)
    (other / "days/file").write_bytes(b"12345")
    assert _clear(company) == Cleared(1, 0, 5)
    assert not other.exists()


def test_what_a_killed_clearing_left_goes_the_next_time(company):
    place, _ = published_edition(company.state)
    (place.folder / f"days/{DAYS[0]:%Y-%m-%d}").unlink()
    assert _clear(company).bytes > 0
    assert len(list((place.folder / "written").iterdir())) == len(complete_days(place))


def test_a_day_that_went_is_computed_again_when_it_is_published_again(company):
    _clear(company, keep_days=0)
    assert publish(company.settings, company.state, Days(DAYS[0]), silent).computed == 1


def test_while_a_publish_runs_nothing_goes(company):
    with exclusive_lock(company.state.folder / "publish.lock", "publishing into"), pytest.raises(Busy):
        _clear(company)


def test_before_any_publish_it_says_so(tmp_path):
    with pytest.raises(NotReady, match="Nothing has been published"):
        _clear(found(tmp_path / "living"))
