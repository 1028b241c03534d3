"""Ready mappings say which subscriptions are trials, paused or free; the settings say what counts."""

from datetime import datetime

import pytest

from configs.sections.label import LabelSettings
from tests.support.companies.vendor_exports import write_exports
from tests.support.vendors.drafted_exports import DraftedExports

TRIALS = LabelSettings(trials_at_risk=True)
NO_PAUSES = LabelSettings(pauses_at_risk=False)
NO_FREE_PLANS = LabelSettings(free_plans_at_risk=False)
COLUMNS = ("subscription_id", "mrr", "started_at", "ended_at")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


# The trials of each made-up export, with an MRR of 0, as rows of their own.
TRIALS_OF = {
    "stripe": [
        ("si_a1", 0.0, at("2024-01-10"), at("2024-01-24")),
        ("si_d1", 0.0, at("2025-01-01"), at("2025-01-10")),  # cancelled in its trial
        ("si_d2", 0.0, at("2025-06-20"), at("2025-07-04")),
    ],
    "chargebee": [
        ("s_a:pro-USD-Monthly", 0.0, at("2024-01-10"), at("2024-01-24")),
        ("s_a:seats-USD-Monthly", 0.0, at("2024-01-10"), at("2024-01-24")),
        ("s_c3:pro-USD-Monthly", 0.0, at("2025-06-20"), at("2025-07-04")),
        ("s_f2:pro-USD-Monthly", 0.0, at("2025-01-01"), at("2025-01-10")),
    ],
    "recurly": [
        ("s2", 0.0, at("2024-01-10"), at("2024-01-24")),
        ("s4", 0.0, at("2024-01-04"), at("2024-01-18")),  # it ended unpaid
    ],
}


@pytest.mark.parametrize("vendor", TRIALS_OF)
def test_trials_are_added_if_they_are_at_risk(drafted, vendor):
    exports, _ = drafted(vendor)
    paid, all_rows = (set(exports.rows("subscriptions", *COLUMNS, label=label)) for label in (None, TRIALS))
    assert paid < all_rows
    assert sorted(all_rows - paid) == TRIALS_OF[vendor]


def test_items_billed_by_usage_are_no_free_plans(drafted):
    exports, _ = drafted("stripe")
    with_free, without = (exports.rows("subscriptions", *COLUMNS, label=label) for label in (None, NO_FREE_PLANS))
    assert ("si_e3", 0.0, at("2024-05-01"), None) in without
    assert with_free == without


def test_a_stripe_subscription_that_is_paused_after_its_trial_was_never_paid(exports):
    write_exports(exports.folder, "stripe")
    file = exports.folder / "stripe" / "subscriptions.csv"
    file.write_text(file.read_text("utf-8").replace("sub_d2,cus_d,trialing", "sub_d2,cus_d,paused"), "utf-8")
    exports.draft("stripe")
    assert "si_d2" not in [row[0] for row in exports.rows("subscriptions", *COLUMNS)]
    trials = exports.rows("subscriptions", *COLUMNS, label=TRIALS)
    assert ("si_d2", 0.0, at("2025-06-20"), at("2025-07-04")) in trials


def pause(exports: DraftedExports, vendor: str, file: str, written: dict[str, str]) -> None:
    """Draft an export with columns for a pause, `written` as their names and, by subscription, as their values."""
    write_exports(exports.folder, vendor)
    path = exports.folder / vendor / f"{file}.csv"
    first, *lines = path.read_text("utf-8").splitlines()
    names = written["names"]
    empty = "," * names.count(",")
    rows = [line.replace(",active,", ",paused,") if line.partition(",")[0] in written else line for line in lines]
    rows = [row + written.get(row.partition(",")[0], empty) for row in rows]
    path.write_text("\n".join([first + names, *rows]) + "\n", "utf-8")
    exports.draft(vendor)


def times(exports: DraftedExports, name: str, label: LabelSettings | None) -> list[tuple]:
    """When a subscription runs."""
    return [row[2:] for row in exports.rows("subscriptions", *COLUMNS, label=label) if row[0] == name]


def test_a_pause_of_chargebee_is_left_out_if_it_is_not_at_risk(exports):
    pause(exports, "chargebee", "subscription", {"names": ",pause_date,resume_date", "s_f1": ",2025-04-01,2025-08-01"})
    assert times(exports, "s_f1:pro-USD-Monthly", None) == [(at("2024-06-01"), None)]
    assert times(exports, "s_f1:pro-USD-Monthly", NO_PAUSES) == [
        (at("2024-06-01"), at("2025-04-01")),
        (at("2025-08-01"), None),
    ]


def test_a_pause_of_recurly_is_left_out_if_it_is_not_at_risk(exports):
    pause(exports, "recurly", "subscription_history", {"names": ",paused_at", "s1": ",2025-04-01"})
    assert times(exports, "s1", None) == [(at("2024-01-03"), None)]
    assert times(exports, "s1", NO_PAUSES) == [(at("2024-01-03"), at("2025-04-01"))]
