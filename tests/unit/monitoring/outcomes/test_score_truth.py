"""Score truth and the natural rate, of a few accounts whose figures are counted by hand."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from configs.errors import DataError
from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from monitoring.outcomes.natural_rate import natural_rates
from monitoring.outcomes.outcome_report import report_outcomes
from monitoring.outcomes.score_truth import judge_flags
from serving.ledger.ledger import Ledger
from serving.ledger.served_outcomes import are_outcomes_recent, read_outcomes, write_outcomes
from tests.support.companies.raw_tables import account, subscription
from tests.support.ledger_rows import score, source_at
from training.labels.definition import label_hash

BEGAN, SERVED, LEFT = datetime(2023, 1, 1), datetime(2023, 4, 3), datetime(2023, 5, 3)
LABEL = '[label]\nmode = "contract"\nhorizon_days = 60\ngrace_days = 10\n'
# account      band      left after 30 days
OUTCOMES = {
    "caught": ("high", True),
    "missed": ("low", True),
    "false": ("critical", False),
    "quiet": ("low", False),
}


def test_flags_are_counted_against_what_happened():
    rows = pd.DataFrame(
        {
            "quarter": "2023Q2",
            "band": ["high"] * 3 + ["low"] * 2 + ["critical"] * 1 + ["watch"] * 4,
            "churned": [1.0] * 5 + [0.0] * 5,
            "mrr": [300.0, 200.0, 100.0, 400.0, 0.0, 50.0, 1.0, 1.0, 1.0, 1.0],
            "lead_days": [10.0, 20.0, 40.0, 5.0, 6.0] + [float("nan")] * 5,
        }
    )
    (truth,) = judge_flags(rows)
    assert (truth.accounts, truth.flagged, truth.left) == (10, 4, 5)
    assert (truth.caught, truth.missed, truth.false_alarms) == (3, 2, 1)
    assert truth.recall is not None
    assert truth.precision is not None
    assert (truth.recall.value, truth.precision.value, truth.lead_days) == (3 / 5, 3 / 4, 20.0)
    assert (truth.revenue_caught, truth.revenue_lost) == (600.0, 1_000.0)
    assert truth.revenue_share is None  # five accounts are too few for an interval


def test_the_share_of_revenue_has_an_interval_if_enough_accounts_left():
    rows = pd.DataFrame({"quarter": "2023Q2", "band": ["high", "low"] * 20, "churned": 1.0, "mrr": 100.0})
    (truth,) = judge_flags(rows.assign(lead_days=30.0))
    assert truth.revenue_share is not None
    assert truth.revenue_share.low < 0.5 == truth.revenue_share.value < truth.revenue_share.high


def test_accounts_whose_revenue_is_not_known_are_counted_and_left_out_of_the_revenue():
    rows = pd.DataFrame({"quarter": "2023Q2", "band": ["high", "low"] * 20, "churned": 1.0, "mrr": 100.0})
    unknown = rows.assign(mrr=rows.mrr.where(rows.index >= 10), lead_days=30.0)
    (truth,) = judge_flags(unknown)
    (known,) = judge_flags(rows[10:].assign(lead_days=30.0))
    assert (truth.left, truth.left_without_mrr, truth.revenue_lost) == (40, 10, 3_000.0)
    assert truth.revenue_share == known.revenue_share


def natural_rows(*snapshots: tuple[str, float]) -> pd.DataFrame:
    """Snapshots of a segment, by account and whether it left."""
    return pd.DataFrame(snapshots, columns=["account_id", "churned"]).assign(segment="small", natural=0.2, risk=0.4)


def test_the_natural_rate_stands_beside_what_happened():
    (rate,) = natural_rates(natural_rows(("a", 1.0), ("b", 0.0), ("b", 0.0), ("b", 1.0)), 0.2)
    assert (rate.snapshots, rate.accounts, rate.happened.value) == (4, 2, 0.5)
    assert (rate.natural.value, rate.expected.value) == (pytest.approx(0.2), pytest.approx(0.4))


def test_the_level_of_the_natural_rate_is_as_uncertain_as_few_departures_make_it():
    """Four accounts left, so the log-odds are known to sqrt(0.3**2 + 1/4) = 0.583, and all risks are equal."""
    rows = natural_rows(*((f"{number}", float(number < 4)) for number in range(40)))
    (rate,) = natural_rates(rows, 0.3)
    shift = 1.96 * (0.3**2 + 1 / 4) ** 0.5
    assert (rate.natural.low, rate.natural.high) == (
        pytest.approx(1 / (1 + 4 * np.exp(shift)), abs=1e-4),
        pytest.approx(1 / (1 + 4 * np.exp(-shift)), abs=1e-4),
    )


def test_snapshots_of_one_account_make_the_natural_rate_no_surer():
    once = [("left", 1.0), *((f"stayed {number}", 0.0) for number in range(9))]
    (first,), (fourfold,) = natural_rates(natural_rows(*once), 0.2), natural_rates(natural_rows(*once * 4), 0.2)
    assert (fourfold.snapshots, fourfold.accounts) == (40, 10)
    assert (fourfold.happened.low, fourfold.happened.high) == pytest.approx((first.happened.low, first.happened.high))
    assert first.happened.low == pytest.approx(0.0179, abs=1e-4)  # Wilson, 1 of 10


@pytest.fixture
def report(make_company, tmp_path):
    """A report of the company above, as known at an instant."""
    subscriptions = [subscription(name, BEGAN, LEFT if has_left else None) for name, (_, has_left) in OUTCOMES.items()]
    # The data set knows this much: an end in the last days would not be settled.
    config = make_company(LABEL, accounts=[account(name) for name in OUTCOMES], subscriptions=subscriptions)
    settings = read_settings(config)
    ledger = Ledger(tmp_path / "ledger.db")
    parts = {
        "drivers": [],
        "protective_drivers": [],
        "risks": {"60": 0.1},
        "signals_as_of": f"{SERVED:%Y-%m-%d}T00:00:00Z",
    }
    scores = [score(name, band=band, **parts) for name, (band, _) in OUTCOMES.items()]
    ledger.append(scores, {**source_at(SERVED), "label_hash": label_hash(settings.label)})
    return lambda known_until: report_outcomes(settings, open_state_dir(settings), ledger, known_until)


def test_what_was_served_is_compared_with_the_tables(report):
    result = report(datetime(2023, 12, 1))
    (truth,) = result.quarters
    assert (truth.quarter, truth.caught, truth.missed, truth.false_alarms, truth.lead_days) == ("2023Q2", 1, 1, 1, 30.0)
    assert result.answer == (
        "Of 2 accounts that left within 60 days of their first risk of 2023Q2, 1 had been flagged and 1 had not;"
        " 1 of 2 flagged accounts stayed."
    )
    assert result.plays is None


def test_outcomes_are_read_as_they_were_stored(report, tmp_path):
    result = report(datetime(2023, 12, 1))
    write_outcomes(tmp_path / "outcomes.json", result)
    assert read_outcomes(tmp_path / "outcomes.json") == result
    assert read_outcomes(tmp_path / "none.json") is None


def test_stored_outcomes_are_recent_for_a_week_and_for_their_label(report, tmp_path):
    file, compared = tmp_path / "outcomes.json", datetime(2023, 12, 1)
    write_outcomes(file, result := report(compared))
    days = (-1, 0, 6, 7)
    assert [are_outcomes_recent(file, result.label, compared + timedelta(days=day)) for day in days] == [
        False,
        True,
        True,
        False,
    ]
    assert not are_outcomes_recent(file, "another label", compared)
    assert not are_outcomes_recent(tmp_path / "none.json", result.label, compared)
    file.write_bytes(file.read_bytes()[:20])
    assert not are_outcomes_recent(file, result.label, compared)


def test_the_data_set_is_opened_only_if_there_may_be_outcomes(report, tmp_path):
    (tmp_path / "data" / "subscriptions.parquet").unlink()
    assert report(datetime(2023, 4, 20)).quarters == ()
    with pytest.raises(DataError):
        report(datetime(2023, 12, 1))


def test_nothing_is_said_of_risks_that_are_too_young(report):
    result = report(datetime(2023, 5, 10))
    assert (list(result.quarters), list(result.natural)) == ([], [])
    assert result.answer.endswith("The answer to a risk is known 70 days after its day.")
