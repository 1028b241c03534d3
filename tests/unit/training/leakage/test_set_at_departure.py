"""A value that is written when an account leaves is named; a value of accounts that leave often is not."""

from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from configs.sections.training import LeakageSettings
from training.leakage.leakage import ShuffledLabels, SignalAucs, report_leakage
from training.leakage.set_at_departure import AtRiskToday, SuspectValue, find_values_set_at_departure
from training.model.churn_model import ModelInput

MONTHS, HORIZON_MONTHS = 24, 3
MONTHLY_CHURN = 0.03
BEGIN, TODAY = pd.Timestamp("2022-01-01"), datetime(2023, 12, 22)


class Company:
    """400 accounts that join over two years and leave at a steady rate; `status` is what the account table says."""

    def __init__(self, churn: np.ndarray | float = MONTHLY_CHURN) -> None:
        draw = np.random.default_rng(3)
        self.joined = draw.integers(0, MONTHS - 6, 400)
        self.left = self.joined + draw.geometric(churn, 400)
        self.is_gone = self.left < MONTHS

    def snapshots(self, **columns: np.ndarray) -> pd.DataFrame:
        """The snapshots whose labels are known, with what the account table says at the end of the data."""
        months = range(1, MONTHS - HORIZON_MONTHS)
        rows = [(month, account) for month in months for account in range(400) if self._is_at_risk(account, month)]
        month, account = np.array(rows).T
        return pd.DataFrame(
            {
                "account_id": account.astype(str),
                "as_of": BEGIN + pd.to_timedelta(30 * month, unit="D"),
                "churned": (self.left[account] <= month + HORIZON_MONTHS) * 1.0,
                **{name: values[account] for name, values in columns.items()},
            }
        )

    def today(self, **columns: np.ndarray) -> AtRiskToday:
        """The accounts at risk at the end of the data, with the values that they have then."""
        present = np.flatnonzero(~self.is_gone)
        signals = pd.DataFrame({name: values[present] for name, values in columns.items()}, index=present.astype(str))
        return AtRiskToday(signals, TODAY, 30 * HORIZON_MONTHS)

    def _is_at_risk(self, account: int, month: int) -> bool:
        return bool(self.joined[account] < month < self.left[account])


def category(name: str, *values: str) -> ModelInput:
    return ModelInput(name, "account", name, "", "", "category", actionable=False, categories=values)


def number(name: str) -> ModelInput:
    return ModelInput(name, "account", name, "", "", "number", actionable=False)


def test_a_status_that_is_set_at_departure_is_named():
    company = Company()
    status = np.where(company.is_gone, "closed", "open")
    rows, today = company.snapshots(status=status), company.today(status=status)
    (suspect,) = find_values_set_at_departure(rows, (category("status", "closed", "open"),), today)
    assert (suspect.signal, suspect.value, suspect.at_risk) == ("status", "closed", 0)
    assert suspect.accounts == rows.account_id[rows.status == "closed"].nunique()
    assert suspect.expected > 10


@pytest.mark.parametrize("share", [0.5, 0.7])
def test_it_is_named_if_only_some_who_left_have_it(share: float):
    company = Company()
    is_marked = company.is_gone & (np.random.default_rng(1).random(400) < share)
    status = np.where(is_marked, "closed", "open")
    rows, today = company.snapshots(status=status), company.today(status=status)
    suspects = find_values_set_at_departure(rows, (category("status", "closed", "open"),), today)
    assert [suspect.value for suspect in suspects] == ["closed"]


def test_a_value_that_is_emptied_at_departure_is_named():
    company = Company()
    discount = np.where(company.is_gone, np.nan, np.arange(400) % 3)
    rows, today = company.snapshots(discount=discount), company.today(discount=discount)
    suspects = find_values_set_at_departure(rows, (number("discount"),), today)
    assert [(suspect.signal, suspect.value) for suspect in suspects] == [("discount", "")]


def test_a_number_that_is_set_at_departure_is_named():
    company = Company()
    reason = np.where(company.is_gone, 99.0, np.arange(400) % 3)
    rows, today = company.snapshots(reason=reason), company.today(reason=reason)
    suspects = find_values_set_at_departure(rows, (number("reason"),), today)
    assert [suspect.value for suspect in suspects] == ["99"]


def test_accounts_that_leave_often_are_not_named():
    is_trial = np.arange(400) % 5 == 0
    company = Company(churn=np.where(is_trial, 0.25, MONTHLY_CHURN))
    channel = np.where(is_trial, "trial", "sales")
    rows, today = company.snapshots(channel=channel), company.today(channel=channel)
    assert company.is_gone[is_trial].mean() > 0.9
    assert find_values_set_at_departure(rows, (category("channel", "sales", "trial"),), today) == ()


def test_rows_that_are_deleted_at_departure_are_named_though_their_signal_changes():
    company = Company()
    rows = company.snapshots(contacts=np.where(company.is_gone, 0.0, 3.0))
    rows["contacts"] += np.where((rows.contacts > 0) & (rows.as_of == rows.as_of.max()), 1.0, 0.0)
    today = company.today(contacts=np.full(400, 3.0))
    (suspect,) = find_values_set_at_departure(rows, (number("contacts"),), today)
    assert (suspect.signal, suspect.value, suspect.at_risk, suspect.changes) == ("contacts", "0", 0, True)
    assert suspect.shares is not None
    assert suspect.shares[0] > 0.3
    assert suspect.shares[1] == 0


def test_a_signal_that_is_still_0_today_is_not_named():
    """Accounts without contacts leave soon, and there are as many of them as ever."""
    company = Company()
    rows = company.snapshots(contacts=np.where(company.is_gone, 0.0, 3.0))
    rows["contacts"] += np.where((rows.contacts > 0) & (rows.as_of == rows.as_of.max()), 1.0, 0.0)
    share = float((rows.contacts == 0).mean())
    today = company.today(contacts=np.where(np.random.default_rng(2).random(400) < share, 0.0, 3.0))
    assert find_values_set_at_departure(rows, (number("contacts"),), today) == ()


def test_a_signal_whose_source_began_late_is_not_named():
    company = Company()
    rows = company.snapshots(nps=np.full(400, 7.0))
    rows.loc[rows.as_of < BEGIN + pd.Timedelta(days=300), "nps"] = np.nan
    assert find_values_set_at_departure(rows, (number("nps"),), company.today(nps=np.full(400, 7.0))) == ()


def test_nothing_is_named_if_nobody_is_at_risk_today():
    company = Company()
    rows = company.snapshots(status=np.where(company.is_gone, "closed", "open"))
    nobody = AtRiskToday(pd.DataFrame(), TODAY, 30 * HORIZON_MONTHS)
    assert find_values_set_at_departure(rows, (category("status", "closed", "open"),), nobody) == ()


def test_the_alarm_says_what_to_change():
    deleted = SuspectValue("contacts", "0", 40, 0, 16.0, changes=True, shares=(0.08, 0.0))
    suspects = (SuspectValue("status", "closed", 212, 0, 61.2), SuspectValue("discount", "", 90, 1, 30.0), deleted)
    chance = ShuffledLabels(0.5, 0.4, 0.6)
    alarm, alarm_of_deleted = report_leakage(
        SignalAucs({}, 100, 900), chance, (), LeakageSettings(), set_at_departure=suspects
    ).alarms
    assert alarm == (
        "'status' = 'closed' seems to be set when an account leaves: 212 accounts had it on past days and 0 of them are"
        " at risk today, where 61 would be at their own churn rate; so does 'discount' without a value; map what the"
        " column was on each day, from a history of changes, or leave it out"
    )
    assert alarm_of_deleted == (
        "'contacts' = '0' seems to be set when an account leaves: 40 accounts had it on past days and 0 of them are at"
        " risk today, and 8.0% of the accounts had it on early days, where 0.0% have it today; its source seems to"
        " delete or overwrite the rows of accounts that left: bring these as they were, or leave it out"
    )
