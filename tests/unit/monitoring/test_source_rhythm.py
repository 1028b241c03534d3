"""The rhythm of a source: what breaks it is named by table and column, until it is mended."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from features.publishing.source_profile import NO_ROWS, SourceWeek
from monitoring.source_rhythm import find_rhythm_faults

AS_OF = datetime(2024, 7, 1)
Weeks = tuple[SourceWeek, ...]


def simulate_weeks(seed: int = 1, accounts: int = 1_000) -> Weeks:
    """A year and a half of weeks with a growing number of rows, and less at the turn of the year."""
    generator = np.random.default_rng(seed)
    weeks: list[SourceWeek] = []
    for week in range(80):
        holidays = 0.7 if week in (26, 27) else 1.0
        rows = int(generator.poisson(accounts * 2 * holidays * (1 - week / 200)))
        active = int(generator.poisson(accounts * 0.8 * holidays))
        amount = float(generator.lognormal(4, 0.1))
        weeks.append(
            SourceWeek(rows, active, {"feature": int(generator.binomial(rows, 0.1)), "amount": 0}, {"amount": amount})
        )
    return tuple(weeks)


def faults(weeks: Weeks, table: str = "usage") -> list[str]:
    return [fault.text for fault in find_rhythm_faults({table: weeks}, AS_OF)]


def halve(week: SourceWeek) -> SourceWeek:
    nulls = {name: count // 2 for name, count in week.nulls.items()}
    return replace(week, rows=week.rows // 2, accounts=week.accounts // 2, nulls=nulls)


BREAKS: dict[str, Callable[[SourceWeek], SourceWeek]] = {
    "usage: 0 rows": lambda _: NO_ROWS,
    "usage: ": halve,
    "usage.feature: empty in 100%": lambda week: replace(week, nulls={**week.nulls, "feature": week.rows}),
    "usage.amount: ": lambda week: replace(week, medians={"amount": (week.medians["amount"] or 0) * 100}),
}


@pytest.mark.parametrize("seed", range(5))
def test_a_year_in_its_rhythm_has_no_fault(seed):
    weeks = simulate_weeks(seed)
    assert [faults(weeks[newest:]) for newest in range(52)] == [[]] * 52


@pytest.mark.parametrize("text", BREAKS)
@pytest.mark.parametrize("broken", [1, 12])
def test_a_break_is_named_by_table_and_column_until_it_is_mended(text, broken):
    weeks = simulate_weeks()
    broke = (*map(BREAKS[text], weeks[:broken]), *weeks[broken:])
    found = find_rhythm_faults({"usage": broke}, AS_OF)
    assert [fault.text for fault in found if not fault.text.startswith(text)] == []
    assert len(found) == 1
    assert (AS_OF - found[0].since).days == 7 * broken
    assert faults((weeks[0], *broke[1:])) == []


def test_rows_that_arrive_twice_are_named():
    weeks = simulate_weeks()
    twice = replace(weeks[0], rows=2 * weeks[0].rows, nulls={"feature": 2 * weeks[0].nulls["feature"]})
    assert [text.startswith("usage: ") for text in faults((twice, *weeks[1:]))] == [True]


def test_a_source_without_any_row_is_named_but_not_one_that_may_be_quiet():
    assert faults(()) == ["usage: no row since the first day"]
    assert faults((), table="notices") == []


def test_too_few_rows_are_no_rhythm():
    weeks = tuple(SourceWeek(count, count, {}, {}) for count in (0, 3, 1, 2, 4, 2, 1, 3, 2, 4, 2, 1))
    assert faults(weeks) == []
