"""Monitoring: drift alarms, and risks compared with what happened."""

import json
import shutil
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sql
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from configs.errors import Busy
from configs.files import exclusive_lock
from configs.state_dir import StateDir
from features.publishing.open_dataset import open_dataset
from features.store.history import HistoryVersion, complete_days, published_history, read_day, write_day
from features.store.history_reader import read_history_frame
from features.store.publication import read_publication
from monitoring.alerts.outbox import _unprocessed_days
from monitoring.drift.panel import Panel, detect_panel_drift, open_panel
from monitoring.health import HealthReport, check_health
from monitoring.outcomes.answers import follow_served_accounts
from monitoring.served_values import check_served_values, compare_served_values
from monitoring.verdicts.verdict import EXIT_CODES
from serving.accounts.past_listing import past_accounts_page
from serving.ledger.ledger import Ledger, ScoreSource
from serving.ledger.reader import LedgerReader
from serving.ledger.schema import RISKS
from serving.schemas.requests import AccountsQuery
from serving.schemas.responses import Score
from serving.scoring.batch import open_batch
from serving.scoring.scorer import open_scorer
from serving.telemetry.gauges import count_accounts_by_band
from tests.support.ledger_rows import source_at
from tests.support.progress import ignore_progress
from tests.support.trained_model import EXTRACT_END, TrainedModel, copy_folder
from training.registry.mlflow_registry import open_registry

# The shipped extract ends on 2023-07-01 and its label takes 60 days: what was served on 1 May is mature then.
SERVED_ON = datetime(2023, 5, 1)


@pytest.fixture
def served(trained: TrainedModel, tmp_path) -> Callable[..., None]:
    """Adds risks of 1 May, or of another day, as a version served them, each multiplied, to the ledger of `health`."""
    scorer = open_scorer(trained.settings, trained.state, lambda: EXTRACT_END, Ledger(tmp_path / "scratch.db"))
    label = scorer.champions.champion().model.identity["label"]

    def serve(version: int = 1, times: float = 1.0, accounts: int | None = None, **source: object) -> None:
        day = cast(datetime, source.pop("day", SERVED_ON))
        scores = open_batch(trained.state, scorer, [], day).score_all(0)["scores"]
        changed = [_scaled(score, times) for score in scores[:accounts]]
        common = {**source_at(day, version), "label_hash": label, **source}
        Ledger(f"sqlite:///{tmp_path / 'ledger.db'}").append(changed, cast(ScoreSource, common))

    return serve


def _scaled(score: Score, times: float) -> Score:
    risks = {days: min(risk * times, 0.9) for days, risk in score["risks"].items()}
    return cast(Score, {**score, "risk": min(score["risk"] * times, 0.9), "risks": risks})


@pytest.fixture
def health(trained: TrainedModel, tmp_path) -> Callable[[], HealthReport]:
    """Judges the trained state by a ledger of its own."""
    ledger = trained.settings.ledger.model_copy(update={"url": SecretStr(f"sqlite:///{tmp_path / 'ledger.db'}")})
    settings = trained.settings.model_copy(update={"ledger": ledger})
    return lambda: check_health(settings, trained.state, EXTRACT_END, ignore_progress)


def test_outcomes_are_known_four_weeks_after_a_day_was_served(served, health):
    served()
    outcomes = health().checks.outcomes
    assert outcomes.cohorts == 1
    assert outcomes.accounts > 500
    assert 0.5 < outcomes.observed / outcomes.expected < 2


def test_risks_that_are_far_too_high_are_a_matter_of_level(served, health):
    served(times=10)
    decision = health().decision
    assert (decision.verdict, EXIT_CODES[decision.verdict]) == ("level moved: recalibrate", 14)
    assert decision.command == "oarlock recalibrate"
    assert decision.began_before == SERVED_ON


@pytest.mark.slow
def test_the_estimate_of_open_risks_is_void_once_outcomes_contradict_it(served, health):
    served()
    assert health().estimate is None  # every answer is known
    served(day=datetime(2023, 6, 1))
    estimate = health().estimate
    assert (estimate.void_since, estimate.early_left > 0) == (None, True)
    assert estimate.churned.low < estimate.churned.value < estimate.churned.high
    served(times=10)
    assert health().estimate.void_since == SERVED_ON


def test_without_a_served_risk_nothing_can_be_told(health):
    report = health()
    assert report.checks.outcomes.accounts == 0
    assert (report.decision.verdict, EXIT_CODES[report.decision.verdict]) == ("cannot tell yet", 12)


def test_outcomes_that_are_known_are_not_read_again(served, health, trained: TrainedModel, monkeypatch):
    served(times=10, accounts=300)
    first = health()
    monkeypatch.setattr("features.publishing.open_dataset.open_dataset", None)
    assert health().checks == first.checks
    assert "account_id" not in pq.read_schema(trained.state.monitoring / "outcomes.parquet").names
    monkeypatch.undo()
    served(times=1)
    assert health().checks.outcomes.accounts > first.checks.outcomes.accounts


def test_a_former_champion_is_judged_by_what_it_served(served, health):
    served(version=7, times=10)
    assert health().decision.verdict == "level moved: recalibrate"


@pytest.mark.parametrize(
    "source",
    [
        {"purpose": "recomputed", "scored_at": EXTRACT_END},
        {"purpose": "viewed"},
        {"scored_at": datetime(2023, 5, 30)},  # when some had left already
        {"label_hash": "another"},
    ],
)
def test_only_what_was_served_before_its_answer_is_judged(served, health, source):
    served(times=10, **source)
    assert health().checks.outcomes.accounts == 0


LOOKS = st.lists(
    st.tuples(st.sampled_from([datetime(2023, 3, 1), SERVED_ON, datetime(2023, 6, 1), None]), st.booleans()),
    min_size=1,
    max_size=4,
)


@pytest.mark.slow
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(looks=LOOKS)
def test_no_look_at_any_day_changes_what_was_served(trained: TrainedModel, served, tmp_path, looks):
    """Whatever days are looked at: served rows, outcomes, past answers, histories and webhooks stay as they were."""
    location = f"sqlite:///{tmp_path / 'ledger.db'}"
    if not Ledger(location).count():
        served(accounts=20)
    before = _what_was_served(trained, location)
    scorer = open_scorer(trained.settings, trained.state, lambda: EXTRACT_END, Ledger(location))
    for day, views in looks:
        batch = open_batch(trained.state, scorer, ["1096", "508"], day)
        if views or batch.purpose == "served":
            batch = batch.only_viewed()
        assert len(batch.score_all(1)["scores"]) > 0
    assert _what_was_served(trained, location) == before


def test_the_commands_say_that_a_past_day_is_recomputed(oarlock, trained: TrainedModel, tmp_path, monkeypatch):
    monkeypatch.setenv("OARLOCK_LEDGER__URL", f"sqlite:///{tmp_path / 'own.db'}")
    config = trained.config
    for command in ("explain", "score"):
        shown = oarlock(command, "1096", "--as-of", "2023-05-01", config=config)
        assert "2023-05-01 is a past day: its risks are recomputed with today's model (version 1)" in shown.out
        as_json = oarlock(command, "1096", "--as-of", "2023-05-01", "--json", config=config)
        assert json.loads(as_json.out)["purpose"] == "recomputed"
        assert "recomputed" in as_json.err
    assert "recomputed" not in oarlock("explain", "1096", config=config).out
    with Ledger(tmp_path / "own.db").engine.connect() as connection:
        purposes = connection.execute(sql.select(RISKS.c.purpose).order_by(RISKS.c.id)).scalars().all()
    assert purposes == [*["recomputed"] * 4, "viewed"]


def _what_was_served(trained: TrainedModel, location: str) -> tuple[object, ...]:
    ledger = Ledger(location)
    monitored = trained.settings.model_copy(
        update={"ledger": trained.settings.ledger.model_copy(update={"url": SecretStr(location)})}
    )
    reader, ids = LedgerReader(ledger), ["1096", "508"]
    days = [date(2023, month, 1) for month in range(2, 8)]
    with ledger.engine.connect() as connection:
        rows = connection.execute(sql.select(RISKS).where(RISKS.c.purpose == "served").order_by(RISKS.c.id)).all()
    return (
        rows,
        [reader.served_by(ids, day) for day in days],
        [reader.history(account_id, 50) for account_id in ids],
        past_accounts_page(ledger, date(2023, 6, 1), AccountsQuery()),
        follow_served_accounts(open_dataset(monitored, trained.state), monitored, ledger, EXTRACT_END).rows.to_dict(),
        _unprocessed_days(ledger.engine),
        count_accounts_by_band(ledger.engine),
    )


@pytest.fixture
def panel(trained: TrainedModel, tmp_path) -> Panel:
    """The panel of the trained state, with a copy of its history that a test may change."""
    publication, copied = read_publication(trained.state), StateDir(tmp_path)
    name = publication["history"]
    shutil.copytree(trained.state.history / name, copied.history / name, symlinks=True)
    registry = open_registry(trained.state, "crm5")
    return open_panel(copied, publication, registry.load_model(registry.champion()), 1)


@pytest.fixture
def rewrite(trained: TrainedModel, panel: Panel) -> Callable[..., None]:
    """Publishes a day again with some signals set to a value for everybody."""
    history = HistoryVersion(panel.history.folder, published_history(trained.state)[0].signals)

    def write(day: datetime, **signals: float) -> None:
        rows = read_history_frame(history.folder, day).assign(**signals).reset_index()
        write_day(history, read_day(history, day), pa.Table.from_pandas(rows, preserve_index=False))

    return write


def test_a_shift_on_the_newest_day_is_named_with_its_effect(panel: Panel, rewrite):
    assert detect_panel_drift(panel, EXTRACT_END, 0.05).drifted == ()
    rewrite(EXTRACT_END, active_days_28d=0.0)
    report = detect_panel_drift(panel, EXTRACT_END, 0.05)
    assert {"active_days_28d", "risk"} >= {signal.signal for signal in report.drifted}
    assert report.drifted[0].signal == "active_days_28d"
    assert report.joint_points == report.drifted[0].points != 0


def test_a_second_run_reads_the_stored_pairs(panel: Panel, monkeypatch):
    first = detect_panel_drift(panel, EXTRACT_END, 0.05)
    monkeypatch.setattr("monitoring.drift.panel.read_history_frame", None)
    assert detect_panel_drift(panel, EXTRACT_END, 0.05) == first
    assert len(list(panel.folder.glob("*.json"))) == first.past_pairs + 1


def test_served_values_are_compared_with_the_history(trained: TrainedModel, panel: Panel, rewrite):
    equal = compare_served_values(trained.state, panel.history, EXTRACT_END, EXTRACT_END + timedelta(days=3))
    assert (equal.differing, equal.age_days) == (0, 3.0)
    assert equal.values == equal.accounts * len(panel.windows) > 0
    rewrite(EXTRACT_END, active_days_28d=-1.0)
    differing = compare_served_values(trained.state, panel.history, EXTRACT_END, EXTRACT_END)
    assert differing.differing == differing.accounts
    assert differing.example.startswith("active_days_28d of account ")


@pytest.fixture
def copied(trained: TrainedModel, tmp_path) -> StateDir:
    """A copy of the trained state that a test may change."""
    return StateDir(copy_folder(trained.state.folder, tmp_path / "copied"))


def test_a_publish_while_a_run_looks_is_no_fault_of_the_online_store(copied: StateDir):
    history, _ = published_history(copied)
    before = history, complete_days(history)[-2]
    served = check_served_values(copied, before, EXTRACT_END)
    assert (served.as_of, served.differing) == (EXTRACT_END, 0)
    with exclusive_lock(copied.publish_lock, "publishing into"), pytest.raises(Busy, match="publishing into"):
        check_served_values(copied, before, EXTRACT_END)


def test_a_day_without_another_four_weeks_before_cannot_be_compared(panel: Panel):
    first = complete_days(panel.history)[0]
    assert detect_panel_drift(panel, first, 0.05).before is None
