"""A challenger in shadow: what it records beside the champion, and how both are compared with what happened."""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sql

from configs.errors import NotReady, RequestError
from configs.settings import Settings
from configs.state_dir import StateDir
from features.publishing.open_dataset import open_dataset
from features.store.history import accounts_on, published_history
from monitoring.shadow.recording import RecordedDay, record_newest_day
from monitoring.shadow.shadow_report import ShadowReport, describe_shadow, read_shadow_report
from monitoring.shadow.shadow_version import find_shadow, start_shadow, stop_shadow
from serving.ledger.ledger import Ledger
from serving.ledger.schema import SHADOW_RISKS
from serving.scoring.champion_pointer import sync_champion
from serving.security.erasure import erase_account
from tests.support.trained_model import EXTRACT_END, TrainedModel, copy_folder
from training.registry.mlflow_registry import Registry, open_registry
from training.registry.training_run import TrainingRun
from training.registry.version import CHAMPION

KNOWN_DAY = datetime(2023, 5, 1)  # the extract ends two months later


@dataclass(frozen=True)
class Company:
    """A copy of the trained company with a version 2, whose risks are higher, in shadow."""

    settings: Settings
    state: StateDir
    registry: Registry
    engine: sql.Engine

    def report(self) -> ShadowReport | None:
        opened = open_dataset(self.settings, self.state)
        return read_shadow_report(opened, self.settings, self.engine, (2, 1), EXTRACT_END)


@pytest.fixture
def company(trained: TrainedModel, tmp_path: Path) -> Company:
    state = StateDir(copy_folder(trained.state.folder, tmp_path / "crm5"))
    registry = open_registry(state, trained.settings.name)
    first = registry.get(1)
    model, provenance = registry.load_model(first), registry.provenance(first)
    assert provenance is not None
    (plots := tmp_path / "plots").mkdir()
    intercepts = tuple(intercept + 0.5 for intercept in model.calibrator.intercepts)
    higher = replace(model, calibrator=replace(model.calibrator, intercepts=intercepts))
    registry.log_run(TrainingRun(higher, registry.evaluation(first), provenance, {}, {}, "higher", plots))
    sync_champion(state, registry)
    start_shadow(state, registry, registry.get(2), EXTRACT_END)
    return Company(trained.settings, state, registry, Ledger(state.ledger).engine)


def test_a_published_day_is_recorded_once_with_the_risks_of_both(company):
    recorded = record_newest_day(company.state, company.engine, EXTRACT_END)
    assert recorded is not None
    history, as_of = published_history(company.state)
    assert recorded == RecordedDay(as_of, 2, 1, len(accounts_on(history, as_of)))
    again = record_newest_day(company.state, company.engine, EXTRACT_END)
    assert again == replace(recorded, accounts=0)
    with company.engine.connect() as connection:
        rows = connection.execute(sql.select(SHADOW_RISKS.c.risks, SHADOW_RISKS.c.champion_risks)).all()
    assert len(rows) == recorded.accounts
    assert all(json.loads(risks)["60"] > json.loads(champion)["60"] for risks, champion in rows)


def test_a_report_says_how_alike_both_are_before_anything_is_known(company):
    assert company.report() is None
    recorded = record_newest_day(company.state, company.engine, EXTRACT_END)
    assert recorded is not None
    report = company.report()
    assert report is not None
    assert (report.comparison.accounts, report.finding, report.days) == (0, "cannot tell yet", 1)
    assert report.next_known_at == datetime(2023, 7, 29)
    # The higher version ranks the accounts as the champion does, for the same reasons.
    agreement = report.agreement
    assert (agreement.accounts, agreement.shared, agreement.flipped) == (recorded.accounts, agreement.top, 0)
    assert "The first answers are known on 2023-07-29" in describe_shadow(report)


def test_a_report_compares_both_with_what_happened(company):
    record_newest_day(company.state, company.engine, EXTRACT_END)
    with company.engine.begin() as connection:
        connection.execute(SHADOW_RISKS.update().values(as_of=KNOWN_DAY))
    report = company.report()
    assert report is not None
    comparison = report.comparison
    assert comparison.accounts > 1_000
    assert comparison.low < comparison.gain < comparison.high
    # An account gains log(odds) if it leaves and loses about the added risk if it stays.
    gain, share = comparison.gain, comparison.churned / comparison.accounts
    assert gain < 0.5 * share
    assert f"on {comparison.accounts:,} accounts followed for 28 days" in describe_shadow(report)


@pytest.mark.slow
def test_a_promoted_version_leaves_the_shadow(company):
    company.registry.client.set_registered_model_alias(company.registry.name, CHAMPION, "2")
    sync_champion(company.state, company.registry)
    assert record_newest_day(company.state, company.engine, EXTRACT_END) is None
    assert find_shadow(company.state) is None


@pytest.mark.slow
def test_the_champion_cannot_be_in_its_own_shadow(company):
    with pytest.raises(RequestError, match="Version 1 is the champion"):
        start_shadow(company.state, company.registry, company.registry.get(1), EXTRACT_END)
    shadow = find_shadow(company.state)
    assert shadow is not None
    assert shadow.version == 2


@pytest.mark.slow
def test_a_stopped_shadow_keeps_what_it_recorded(company):
    record_newest_day(company.state, company.engine, EXTRACT_END)
    assert stop_shadow(company.state).version == 2
    assert record_newest_day(company.state, company.engine, EXTRACT_END) is None
    assert company.report() is not None
    with pytest.raises(NotReady, match="No version is in shadow"):
        stop_shadow(company.state)


@pytest.mark.slow
def test_an_erased_account_leaves_the_shadow_too(company):
    record_newest_day(company.state, company.engine, EXTRACT_END)
    history, as_of = published_history(company.state)
    account_id = accounts_on(history, as_of)[0]
    certificate = erase_account(company.state, company.engine, account_id, EXTRACT_END)
    assert certificate["removed"]["table shadow_risks"] == 1
