"""Cohorts: which snapshots start one, and what care an account had."""

from datetime import datetime, timedelta
from itertools import pairwise

import ibis
import numpy as np
import pandas as pd
import pytest

from configs.sections.label import LabelSettings
from features.tables.contract import CONTRACT
from features.tables.raw_table import RawTable
from monitoring.outcomes.answers import care_at
from monitoring.outcomes.cohorts import choose_snapshots, cohort_label, days_until_known
from monitoring.outcomes.plays import judge_plays
from monitoring.outcomes.served_scores import risk_within

DAY = datetime(2024, 1, 1)
FOUR_WEEKS = timedelta(days=28)


def served(days: dict[str, list[int]]) -> pd.DataFrame:
    rows = [(account, DAY + timedelta(days=day)) for account, numbers in days.items() for day in numbers]
    return pd.DataFrame(rows, columns=["account_id", "as_of"])


def starts(chosen: pd.DataFrame) -> dict[str, list[int]]:
    return {str(account): [(day - DAY).days for day in rows.as_of] for account, rows in chosen.groupby("account_id")}


def test_monthly_snapshots_all_start_a_cohort():
    months = {"a": [0, 31, 60, 91], "b": [31, 60]}
    assert starts(choose_snapshots(served(months), FOUR_WEEKS)) == months


def test_cohorts_of_an_account_do_not_overlap():
    chosen = starts(choose_snapshots(served({"a": list(range(200)), "b": list(range(200))}), FOUR_WEEKS))
    assert all(later - earlier == 28 for days in chosen.values() for earlier, later in pairwise(days))
    assert {days[0] % 7 for days in chosen.values()} == {0}


def test_contract_answers_are_known_after_five_weeks():
    label = LabelSettings(mode="contract", horizon_days=90, grace_days=30)
    assert (cohort_label(label).horizon_days, days_until_known(label).days) == (28, 35)
    inactivity = LabelSettings(mode="inactivity", horizon_days=90, inactive_days=90)
    assert cohort_label(inactivity) == inactivity


def test_a_short_risk_follows_from_the_hazard():
    assert round(risk_within({"30": 0.3, "90": 0.6}, 30), 6) == 0.3
    assert 0.27 < risk_within({"30": 0.3, "90": 0.6}, 28) < 0.3
    assert 0.3 < risk_within({"30": 0.3, "90": 0.6}, 45) < 0.6


@pytest.mark.parametrize("resolution", ["ns", "us"])
def test_care_is_that_of_the_last_play_before_a_cohort(resolution: str):
    assigned = [("a", 0, False), ("b", 0, True), ("c", 200, False), ("d", 0, True), ("d", 30, False)]
    plays = pd.DataFrame(assigned, columns=["account_id", "day", "holdout"])
    plays["assigned_at"] = DAY + pd.to_timedelta(plays.day, unit="D")
    table = RawTable(CONTRACT["plays"], ibis.memtable(plays.drop(columns="day")), frozenset(plays.columns))
    rows = served({"a": [0, 150], "b": [10], "c": [0], "d": [40], "e": [0]})
    rows["as_of"] = rows.as_of.astype(np.dtype(f"datetime64[{resolution}]"))
    assert care_at({"plays": table}, rows).tolist() == ["play", "no play", "held out", "no play", "play", "no play"]


def test_plays_that_save_are_seen_against_held_out_accounts():
    def rows(left: dict[str, int]) -> pd.DataFrame:
        parts = [
            pd.DataFrame({"care": care, "risk": 0.1, "churned": [1.0] * n + [0.0] * (1_000 - n)})
            for care, n in left.items()
        ]
        return pd.concat(parts).assign(as_of=DAY)

    saving = judge_plays(rows({"play": 40, "held out": 100}), 0.05)
    assert saving.is_alarm
    bounds = [round(bound or 0, 2) for bound in (saving.low, saving.ratio, saving.high)]
    assert bounds == [0.27, 0.4, 0.58]
    assert not judge_plays(rows({"play": 95, "held out": 100}), 0.05).is_alarm
    assert judge_plays(rows({"play": 40, "no play": 100}), 0.05).ratio is None
