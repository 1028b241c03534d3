"""Retention: pruning removes what nothing reads and keeps what training and the service read."""

from datetime import datetime
from pathlib import Path

import pytest

from configs.errors import Busy, NotReady
from configs.files import exclusive_lock
from features.publishing.pipeline import PublishRequest, publish
from features.publishing.retention import PruneResult, prune_history
from features.store.history import complete_days, published_history
from tests.support.companies.growing_company import TODAY, Company, copy_company, create_company
from tests.support.progress import ignore_progress

DAYS = [datetime(2023, 7, 30), datetime(2023, 7, 31)]


@pytest.fixture(scope="module")
def company_of_three_days(published_once: Company, tmp_path_factory: pytest.TempPathFactory) -> Company:
    """A company with two earlier days published beside the newest; neither of the two is a training day."""
    company = copy_company(published_once, tmp_path_factory.mktemp("retention") / "growing")
    for day in DAYS:
        publish(company.settings, company.state, PublishRequest(day), ignore_progress)
    return company


@pytest.fixture
def company(company_of_three_days: Company, tmp_path: Path) -> Company:
    return copy_company(company_of_three_days, tmp_path / "growing")


def _prune(company: Company, keep_days: int | None = None) -> PruneResult:
    return prune_history(company.settings, company.state, keep_days)


def test_old_days_not_for_training_are_pruned(company):
    history, _ = published_history(company.state)
    before = complete_days(history)
    result = _prune(company, keep_days=(TODAY - DAYS[1]).days)
    assert (result.histories, result.days, result.bytes > 0) == (0, 1, True)
    assert complete_days(history) == [day for day in before if day != DAYS[0]]
    assert len(list((history.folder / "written").iterdir())) == len(before) - 1


def test_without_a_maximum_age_no_day_is_pruned(company):
    assert _prune(company) == PruneResult(0, 0, 0)


def test_a_history_of_other_signals_is_pruned(company):
    other = company.state.history / "of_other_signals"
    (other / "days").mkdir(parents=True)
    (other / "days/file").write_bytes(b"12345")
    assert _prune(company) == PruneResult(1, 0, 5)
    assert not other.exists()


def test_leftovers_of_an_interrupted_pruning_are_removed(company):
    history, _ = published_history(company.state)
    (history.folder / f"days/{DAYS[0]:%Y-%m-%d}").unlink()
    assert _prune(company).bytes > 0
    assert len(list((history.folder / "written").iterdir())) == len(complete_days(history))


def test_a_pruned_day_is_recomputed_when_published_again(company):
    _prune(company, keep_days=0)
    assert publish(company.settings, company.state, PublishRequest(DAYS[0]), ignore_progress).computed == 1


def test_pruning_is_refused_while_a_publish_runs(company):
    with exclusive_lock(company.state.folder / "publish.lock", "publishing into"), pytest.raises(Busy):
        _prune(company)


def test_before_any_publish_it_is_not_ready(tmp_path):
    with pytest.raises(NotReady, match="Nothing has been published"):
        _prune(create_company(tmp_path / "growing"))
