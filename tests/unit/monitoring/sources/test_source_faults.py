"""The rhythm of a source: what breaks it is named by table and column, until it is mended."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from features.publishing.source_weeks import NO_ROWS, SourceWeek
from monitoring.sources.source_faults import find_source_faults
from monitoring.verdicts.verdict import is_acknowledged
from serving.ledger.monitor_runs import Subject

AS_OF = datetime(2024, 7, 1)
DAYS = 7 * 104
Weeks = tuple[SourceWeek, ...]


def to_weeks(by_day: Iterable[int]) -> Weeks:
    """Weeks of rows without columns, each row of another account, the newest day first."""
    days = list(by_day)
    weeks = (tuple(days[start : start + 7]) for start in range(0, len(days), 7))
    return tuple(SourceWeek(sum(week), sum(week), sum(week), {}, {}, week, {}) for week in weeks)


def simulate_weeks(seed: int = 1, accounts: int = 1_000) -> Weeks:
    """A year and a half of weeks with a growing number of rows, and less at the turn of the year."""
    generator = np.random.default_rng(seed)
    weeks: list[SourceWeek] = []
    for week in range(80):
        holidays = 0.7 if week in (26, 27) else 1.0
        by_day = generator.poisson(accounts * 2 / 7 * holidays * (1 - week / 200), 7)
        rows = int(by_day.sum())
        active = int(generator.poisson(accounts * 0.8 * holidays))
        nulls = {"feature": int(generator.binomial(rows, 0.1)), "amount": 0}
        medians = {"amount": float(generator.lognormal(4, 0.1))}
        weeks.append(SourceWeek(rows, active, rows, nulls, medians, tuple(by_day.tolist()), {}))
    return tuple(weeks)


def faults(weeks: Weeks, table: str = "usage", as_of: datetime = AS_OF) -> list[str]:
    return [fault.text for fault in find_source_faults({table: weeks}, as_of, 0.05)]


def halve(week: SourceWeek) -> SourceWeek:
    nulls = {name: count // 2 for name, count in week.nulls.items()}
    by_day = tuple(rows // 2 for rows in week.by_day)
    rows = sum(by_day)
    return replace(week, rows=rows, accounts=week.accounts // 2, instants=rows, nulls=nulls, by_day=by_day)


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
    found = find_source_faults({"usage": broke}, AS_OF, 0.05)
    assert [fault.text for fault in found if not fault.text.startswith(text)] == []
    assert len(found) == 1
    assert (AS_OF - found[0].since).days == 7 * broken
    assert faults((weeks[0], *broke[1:])) == []


@pytest.mark.parametrize("factor", [100, 0.01])
def test_another_unit_is_named_in_the_second_week_if_weeks_have_few_rows(factor):
    weeks = (SourceWeek(20, 15, 20, {"amount": 0}, {"amount": 50.0}, (3, 3, 3, 3, 3, 3, 2), {}),) * 40
    broken = (replace(weeks[0], medians={"amount": 50.0 * factor}),) * 12
    assert faults((broken[0], *weeks[1:])) == []
    assert faults((weeks[0], broken[1], *weeks[2:])) == []
    for count in (2, 12):
        [fault] = find_source_faults({"usage": (*broken[:count], *weeks[count:])}, AS_OF, 0.05)
        assert fault.text.startswith("usage.amount: ")
        assert (AS_OF - fault.since).days == 7 * count


def test_rows_that_arrive_twice_are_named():
    weeks = simulate_weeks()
    twice = replace(weeks[0], rows=2 * weeks[0].rows, nulls={"feature": 2 * weeks[0].nulls["feature"]})
    assert [text.startswith("usage: ") for text in faults((twice, *weeks[1:]))] == [True]


def test_rows_that_arrive_twice_are_named_in_a_source_of_uneven_weeks():
    generator = np.random.default_rng(1)
    counts = [int(count) for count in generator.choice([60, 100, 150], 60)]
    weeks = tuple(SourceWeek(count, count, count, {}, {}, (count, 0, 0, 0, 0, 0, 0), {}) for count in counts)
    assert faults(weeks, "invoices") == []
    twice = replace(weeks[0], rows=2 * weeks[0].rows)
    assert faults((twice, *weeks[1:]), "invoices") == [
        "invoices: 2.0 rows of an account at the same instant, at most 1.0 before"
    ]


def test_more_kinds_of_events_at_the_same_instant_are_no_duplicates():
    weeks = (SourceWeek(600, 100, 100, {}, {}, (600, 0, 0, 0, 0, 0, 0), {}),) * 20
    more_kinds = replace(weeks[0], rows=800)
    assert faults((more_kinds, *weeks)) == []


def test_a_break_that_is_as_small_as_the_smallest_week_before_lasts_until_it_is_mended():
    weeks = to_weeks([100] * DAYS)
    of = dict(zip(("low", "half", "usual"), (to_weeks([rows] * 7)[0] for rows in (55, 60, 100)), strict=True))
    assert faults((of["low"], *weeks)) != []
    assert faults((of["half"], *weeks)) == []
    assert faults((of["half"], of["low"], *weeks)) == ["usage: 420 rows in the last week, 700 are usual"]
    assert faults((of["usual"], of["low"], *weeks)) == []


def test_a_source_without_any_row_is_named_but_not_one_that_may_be_quiet():
    assert faults(()) == ["usage: no row since the first day"]
    assert faults((), table="notices") == []


def test_too_few_rows_are_no_rhythm():
    assert faults(tuple(to_weeks([rows] + [0] * 6)[0] for rows in (0, 3, 1, 2, 4, 2, 1, 3, 2, 4, 2, 1))) == []


def is_first_of_month(day: datetime) -> bool:
    return day.day == 1


def is_first_working_day(day: datetime) -> bool:
    return day.weekday() < 5 and all((day - timedelta(days=k)).weekday() > 4 for k in range(1, day.day))


def is_last_of_month(day: datetime) -> bool:
    return (day + timedelta(days=1)).day == 1


def is_first_of_quarter(day: datetime) -> bool:
    return day.day == 1 and day.month in (1, 4, 7, 10)


def is_every_second_week(day: datetime) -> bool:
    return day.toordinal() % 14 == 0


BATCHES = [is_first_of_month, is_first_working_day, is_last_of_month, is_first_of_quarter, is_every_second_week]
Arrives = Callable[[datetime], bool]


def batches(arrives: Arrives, as_of: datetime, stopped: datetime = datetime(2100, 1, 1)) -> Weeks:
    """Batches of about a thousand rows up to a day; before it the source is two years old."""
    generator = np.random.default_rng(5)
    days = [as_of - timedelta(days=ago) for ago in range(1, DAYS + 1)]
    return to_weeks(int(generator.poisson(1_000)) if arrives(day) and day < stopped else 0 for day in days)


@pytest.mark.parametrize("arrives", BATCHES)
@pytest.mark.parametrize("age", [14, 20, 104])
def test_batches_are_a_rhythm(arrives, age):
    ends = [AS_OF + timedelta(days=day) for day in range(0, 365, 11)]
    assert [faults(batches(arrives, end)[:age], "invoices", end) for end in ends] == [[]] * len(ends)


def test_a_monthly_source_that_stops_is_named_within_a_week_of_the_day_it_was_due_and_from_then_on():
    stopped = datetime(2024, 8, 20)
    named = []
    for days in range(0, 120):
        as_of = stopped + timedelta(days=days)
        if texts := faults(batches(is_first_of_month, as_of, stopped), "invoices", as_of):
            named.append((as_of, *texts))
    first, text = named[0]
    assert first == datetime(2024, 9, 6)
    assert text.startswith("invoices: 0 rows in the last month, ")
    assert len(named) == 120 - (first - stopped).days


def test_half_of_a_monthly_batch_is_named():
    as_of = datetime(2024, 8, 7)
    newest, *others = batches(is_first_of_month, as_of)
    assert faults((newest, *others), "invoices", as_of) == []
    (text,) = faults((halve(newest), *others), "invoices", as_of)
    assert " rows in the last month, " in text


def test_a_source_of_few_rows_that_stops_is_named_by_its_silence():
    generator = np.random.default_rng(3)
    days = generator.poisson(0.5, DAYS).tolist()
    named = [silent for silent in range(60) if faults(to_weeks(([0] * silent + days)[:DAYS]), "surveys")]
    assert named[0] >= 15
    assert named[-20:] == list(range(40, 60))
    (text,) = faults(to_weeks(([0] * 50 + days)[:DAYS]), "surveys")
    assert text.startswith("surveys: no row for 5")


@pytest.mark.parametrize("rate", [0.05, 0.3, 1.0, 4.0])
def test_few_rows_at_random_are_a_rhythm(rate):
    generator = np.random.default_rng(7)
    days = generator.poisson(rate, 4 * DAYS).tolist()
    ends = range(0, 3 * DAYS, 28)
    assert [faults(to_weeks(days[end : end + DAYS]), "surveys") for end in ends] == [[]] * len(ends)


def test_empty_cells_of_few_rows_are_named():
    weeks = (SourceWeek(12, 12, 12, {"score": 2}, {}, (2, 2, 2, 2, 2, 2, 0), {}),) * 20
    empty = replace(weeks[0], nulls={"score": 12})
    assert faults(weeks, "surveys") == []
    assert faults((empty, *weeks[1:]), "surveys") == [
        "surveys.score: empty in 100% of the rows of a week, at most 17% before"
    ]


def test_a_column_that_is_filled_in_later_is_compared_when_its_rows_are_old_enough():
    paid = SourceWeek(300, 300, 300, {}, {}, (60, 60, 60, 60, 60, 0, 0), {7: {"paid_at": 270}, 28: {"paid_at": 15}})
    never = replace(paid, empty_after={7: {"paid_at": 300}, 28: {"paid_at": 300}})
    named = {broken: faults((*[never] * broken, *[paid] * 20), "invoices") for broken in (0, 1, 2, 5)}
    text = "invoices.paid_at: still empty after 7 days in 100% of the rows of a week, at most 90% before"
    assert named == {0: [], 1: [], 2: [text], 5: [text]}


def with_words(weeks: Weeks, *words: str, accounts: int = 400) -> Weeks:
    """The weeks in which so many accounts have each of these words."""
    return tuple(replace(week, words={"event": dict.fromkeys(words, accounts)}) for week in weeks)


@pytest.mark.parametrize("broken", [1, 12, 40])
def test_a_word_that_is_renamed_is_named_with_its_new_word(broken):
    weeks = simulate_weeks()
    renamed = (*with_words(weeks[:broken], "open", "reports"), *with_words(weeks[broken:], "open", "report"))
    (fault,) = find_source_faults({"usage": renamed}, AS_OF, 0.05)
    assert fault.text == ("usage.event: no longer has 'report', which at least 400 accounts a week had; new: 'reports'")
    assert (AS_OF - fault.since).days == 7 * broken


def test_words_that_are_new_rare_or_of_a_season_may_be_missing():
    weeks = simulate_weeks()
    usual = with_words(weeks, "open")
    season = (*usual[:1], *with_words(weeks[1:20], "open", "report"), *usual[20:])
    rare = (*usual[:1], *(replace(week, words={"event": {"open": 400, "report": 15}}) for week in weeks[1:]))
    assert faults(season) == faults(rare) == faults(with_words(weeks, "open", "report")) == []


@pytest.mark.parametrize(("weeks_before", "named"), [(25, 0), (26, 1)])
def test_a_word_is_usual_after_half_a_year(weeks_before, named):
    weeks = simulate_weeks()[: weeks_before + 1]
    assert len(faults((*with_words(weeks[:1], "open"), *with_words(weeks[1:], "open", "report")))) == named


def test_the_words_of_a_source_that_stops_are_not_named_too():
    weeks = with_words(simulate_weeks(), "open")
    assert [text.startswith("usage: 0 rows") for text in faults((NO_ROWS, *weeks[1:]))] == [True]


def test_many_missing_words_are_named_in_one_sentence():
    weeks = simulate_weeks()
    words = [f"event {number}" for number in range(6)]
    (text,) = faults((*with_words(weeks[:1], "open"), *with_words(weeks[1:], "open", *words)))
    assert text.endswith("'event 2', which at least 400 accounts a week had, 3 more")


def test_a_column_that_is_known_to_be_at_fault_hides_no_fault_of_its_table():
    weeks = simulate_weeks()
    removed = (*with_words(weeks[:2], "open"), *with_words(weeks[2:], "open", "report"))
    stopped = find_source_faults({"usage": (NO_ROWS, *removed[1:])}, AS_OF, 0.05)
    subjects = [fault.subject for fault in stopped]
    assert subjects == ["usage", "usage.event"]
    known: list[Subject] = [("mend a source", "usage.event")]
    assert is_acknowledged("mend a source", "usage.event", known)
    assert not is_acknowledged("mend a source", ", ".join(subjects), known)


def with_late_rows(weeks: Weeks, shares: Iterable[float], within: int = 7) -> Weeks:
    """Such a share of the rows of each week is recorded more than three days late, and within so many."""
    return tuple(
        replace(
            week, recorded={days: round(week.rows * (1 - (share if days < within else 0))) for days in (3, 7, 14, 28)}
        )
        for week, share in zip(weeks, shares, strict=True)
    )


def test_rows_that_come_later_than_ever_are_named_a_week_later():
    weeks = to_weeks([100] * DAYS)
    usual = [0.01, 0.06] * 52
    assert faults(with_late_rows(weeks, usual)) == []
    assert faults(with_late_rows(weeks, [0.3, *usual[1:]])) == []
    [fault] = find_source_faults({"usage": with_late_rows(weeks, [0.0, 0.3, 0.3, *usual[3:]])}, AS_OF, 0.05)
    assert fault.text == "usage: 30% of the rows of a week came over 3 days late, at most 6% before"
    assert (AS_OF - fault.since).days == 21
    assert faults(with_late_rows(weeks, [0.0, 0.05, 0.3, *usual[3:]])) == []


def test_rows_that_come_weeks_late_are_named_after_28_days():
    weeks = to_weeks([100] * DAYS)
    late = [0.3] * 6
    (text,) = faults(with_late_rows(weeks, [*late, *[0.0] * 98], within=28))
    assert text == "usage: 30% of the rows of a week came over 14 days late, at most 0% before"
    assert faults(with_late_rows(weeks, [*late[:4], *[0.0] * 100], within=28)) == []


def test_rows_of_one_day_that_come_late_are_no_fault():
    weeks = to_weeks([100] * DAYS)
    assert faults(with_late_rows(weeks, [0.0, 0.15, 0.15, *[0.0] * 101])) == []


def test_late_rows_of_a_few_are_chance():
    weeks = to_weeks([2] * DAYS)
    assert faults(with_late_rows(weeks, [0.0, 0.3, *[0.0, 0.07] * 51])) == []
