"""Values of single signals on a few rows; the test's name completes the sentence "it ..."."""

from datetime import datetime, timedelta

import pytest

from features.compute.availability import available_signals, missing_inputs
from features.compute.compute import compute_signals
from features.signals.registry import catalogue
from tests.support.companies.compiled_catalogue import with_inputs
from tests.support.companies.raw_tables import account, raw_tables, subscription

AS_OF = datetime(2024, 5, 15)


def ago(days: float) -> datetime:
    """The instant this number of days before `AS_OF`; a negative number gives a later instant."""
    return AS_OF - timedelta(days=days)


def value(signal: str, **tables: list[dict]) -> float | str | None:
    """The signal of account `a`, which has had one subscription for 400 days unless the tables say otherwise."""
    raw = raw_tables(**{"subscriptions": [subscription("a", ago(400))], **tables})
    (row,) = compute_signals(raw, with_inputs({signal}), AS_OF).to_pyarrow().to_pylist()
    return row[signal]


def events(*days: float, **columns: object) -> list[dict]:
    return [{"account_id": "a", "event": "open", "occurred_at": ago(day), "quantity": 1.0, **columns} for day in days]


def ticket(number: int, opened: float, resolved: float | None = None, **columns: object) -> dict:
    resolved_at = None if resolved is None else ago(resolved)
    return {
        "account_id": "a",
        "ticket_id": f"t{number}",
        "opened_at": ago(opened),
        "resolved_at": resolved_at,
        **columns,
    }


def contact(number: int, role: str, joined: float, left: float | None = None) -> dict:
    row = {"account_id": "a", "contact_id": f"c{number}", "role": role, "joined_at": ago(joined)}
    return {**row, "left_at": None if left is None else ago(left)}


def survey(kind: str, sent: float, answered: float | None = None, score: float | None = None) -> dict:
    row = {"account_id": "a", "respondent_id": "ada", "kind": kind, "sent_at": ago(sent), "score": score}
    return {**row, "answered_at": None if answered is None else ago(answered)}


def touch(days: float, responded: bool | None = None, kind: str = "email", commercial: bool = False) -> dict:
    return {"account_id": "a", "at": ago(days), "kind": kind, "responded": responded, "commercial": commercial}


def milestone(name: str, due: float, reached: float | None = None) -> dict:
    row = {"account_id": "a", "milestone": name, "due_at": ago(due)}
    return {**row, "reached_at": None if reached is None else ago(reached)}


def invoice(number: int, due: float, paid: float | None = None, amount: float = 100.0) -> dict:
    row = {"account_id": "a", "invoice_id": f"i{number}", "issued_at": ago(due + 30), "due_at": ago(due)}
    return {**row, "paid_at": None if paid is None else ago(paid), "amount": amount}


class TestAdoption:
    def test_counts_an_event_without_quantity_once(self):
        assert value("events_28d", usage=events(3, quantity=None)) == 1

    def test_counts_each_event_once_without_a_quantity_column(self):
        usage = [{name: row[name] for name in ("account_id", "event", "occurred_at")} for row in events(3, 4)]
        tables = raw_tables(subscriptions=[subscription("a", ago(400))], usage=usage)
        assert "events_28d" in {signal.name for signal in available_signals(tables, catalogue(), "unknown")}
        assert value("events_28d", usage=usage) == 2

    def test_compares_usage_with_the_peak_of_half_a_year(self):
        assert value("events_share_of_peak_28d", usage=events(3, 30, 31, 33, 60)) == pytest.approx(1 / 3)

    @pytest.mark.parametrize(
        ("signal", "expected"),
        [
            ("active_days_28d", 1),
            ("days_since_event_182d", 10),
            ("event_types_28d", 1),
            ("distinct_users_28d", 1),
            ("daily_active_users_28d", 1),
        ],
    )
    def test_takes_a_count_of_no_events_for_no_use(self, signal, expected):
        none = events(2, 10, quantity=0.0, user_id="ben", event="export")
        assert value(signal, usage=[*events(10, user_id="ada"), *none]) == expected

    def test_counts_the_gap_that_lasts_until_now(self):
        assert value("longest_usage_gap_91d", usage=events(10, 12, 17)) == 10

    def test_counts_the_gap_between_two_active_days(self):
        assert value("longest_usage_gap_91d", usage=events(1, 21, 22)) == 20

    def test_compares_the_time_since_the_last_use_with_the_usual_gap(self):
        usage = events(30, 40, 50, 70, 400)
        assert value("average_usage_gap_364d", usage=usage) == pytest.approx(40 / 3)
        assert value("usage_gap_vs_average_364d", usage=usage) == pytest.approx(30 / (40 / 3))

    def test_has_no_usual_gap_with_a_single_day_of_use(self):
        assert value("average_usage_gap_364d", usage=events(30)) is None
        assert value("usage_gap_vs_average_364d", usage=events(30)) is None

    def test_gives_the_share_of_past_days_after_which_the_account_paused(self):
        # Of the 209 days that lie 92 to 300 days back, no use followed those 192 to 300 days back.
        assert value("long_pause_share_91d", usage=events(300, 100, 10)) == pytest.approx(109 / 209)

    def test_counts_the_pause_that_lasts_until_now(self):
        assert value("long_pause_share_91d", usage=events(300)) == 1

    def test_knows_of_no_pause_before_the_time_for_it_has_passed(self):
        assert value("long_pause_share_91d", usage=events(91, 10)) is None

    def test_counts_the_active_days_of_the_same_quarter_of_last_year(self):
        assert value("active_days_last_year_91d", usage=events(3, 273, 274, 300, 364, 365)) == 3

    def test_counts_no_days_of_last_year_for_a_younger_account(self):
        assert value("active_days_last_year_91d", usage=events(3, 274, 300)) is None

    def test_counts_users_who_stopped(self):
        usage = [*events(100, 3, user_id="ada"), *events(100, user_id="ben"), *events(200, user_id="cleo")]
        assert value("lost_users_28d", usage=usage) == 1

    def test_counts_event_types_not_used_in_half_a_year_as_new(self):
        usage = [*events(100, 3), *events(4, 5, event="export")]
        assert value("new_event_types_28d", usage=usage) == 1

    def test_gives_the_share_of_the_most_active_user(self):
        usage = [*events(1, 2, 3, user_id="ada"), *events(4, user_id="ben")]
        assert value("top_user_share_28d", usage=usage) == 0.75

    def test_counts_wednesday_but_not_sunday_as_a_weekday(self):
        assert value("weekday_event_share_28d", usage=events(7, 14, 3)) == pytest.approx(2 / 3)

    def test_does_not_count_rows_of_active_users_as_events(self):
        assert value("events_28d", usage=[*events(2), *events(2, event="active_users", quantity=40.0)]) == 1


class TestValue:
    def test_gives_the_price_of_unused_seats(self):
        usage = events(2, event="active_users", quantity=4.0)
        paid = [subscription("a", ago(400), seats=10.0)]
        assert value("unused_seat_mrr_28d", usage=usage, subscriptions=paid) == pytest.approx(60)

    def test_has_no_unused_seat_if_users_exceed_seats(self):
        usage = events(2, event="active_users", quantity=14.0)
        paid = [subscription("a", ago(400), seats=10.0)]
        assert value("unused_seat_mrr_28d", usage=usage, subscriptions=paid) == 0

    def test_counts_days_from_first_value_to_renewal(self):
        paid = [subscription("a", ago(100), renews_at=ago(-265))]
        reached = [milestone("first_value", due=60, reached=50)]
        assert value("days_from_first_value_to_renewal", subscriptions=paid, milestones=reached) == 315

    def test_is_half_if_one_of_two_key_milestones_is_reached(self):
        plan = [milestone("kickoff", 90, 90), milestone("first_value", 60, 50), milestone("live", 30)]
        assert value("key_milestones_reached_share", milestones=plan) == 0.5


class TestSupport:
    def test_measures_the_first_response_in_hours(self):
        tickets = [ticket(1, 10, first_response_at=ago(9.5)), ticket(2, 5, first_response_at=ago(4)), ticket(3, 1)]
        assert value("first_response_hours_91d", tickets=tickets) == 18

    def test_treats_a_ticket_resolved_at_as_of_as_open(self):
        assert value("oldest_open_ticket_age", tickets=[ticket(1, 20, resolved=0), ticket(2, 30, resolved=1)]) == 20

    def test_subtracts_resolved_tickets_from_the_backlog_growth(self):
        assert value("ticket_backlog_growth_28d", tickets=[ticket(1, 90, 10), ticket(2, 80, 3), ticket(3, 5)]) == -1

    def test_uses_the_escalation_of_resolved_tickets_only(self):
        tickets = [ticket(1, 9, escalated=True), ticket(2, 9, 5, escalated=True), ticket(3, 9, 5, escalated=False)]
        assert value("escalated_ticket_share_182d", tickets=tickets) == 0.5

    def test_uses_csat_two_weeks_after_the_resolution(self):
        assert value("ticket_csat_91d", tickets=[ticket(1, 40, 15, csat=5.0), ticket(2, 40, 13, csat=1.0)]) == 5

    def test_has_no_trend_without_earlier_tickets(self):
        assert value("tickets_trend_28d", tickets=[ticket(1, 3, escalated=None)]) is None


class TestRelationship:
    def test_reports_that_the_only_champion_left(self):
        assert value("all_champions_left", contacts=[contact(1, "champion", 300, left=20)]) == 1

    def test_reports_nothing_if_another_champion_stays(self):
        contacts = [contact(1, "champion", 300, left=20), contact(2, "champion", 10)]
        assert value("all_champions_left", contacts=contacts) == 0

    def test_ignores_a_departure_in_the_future(self):
        assert value("champions_left_91d", contacts=[contact(1, "champion", 300, left=-1)]) == 0

    def test_counts_only_contacts_of_half_a_year_ago_as_left(self):
        contacts = [contact(1, "user", 300, left=20), contact(2, "user", 300), contact(3, "user", 100, left=20)]
        assert value("contacts_left_share_182d", contacts=contacts) == 0.5

    def test_is_zero_for_an_account_without_contacts(self):
        assert value("current_contacts", contacts=[{**contact(1, "user", 9), "account_id": "b"}]) == 0


class TestSentiment:
    def test_gives_the_last_answer_not_the_last_survey(self):
        surveys = [survey("nps", 90, 80, 9.0), survey("nps", 60, 50, 3.0), survey("nps", 10)]
        assert value("last_nps", surveys=surveys) == 3
        assert value("last_nps_age", surveys=surveys) == 50

    def test_gives_the_better_of_two_answers_at_the_same_instant(self):
        assert value("last_nps", surveys=[survey("nps", 60, 50, 3.0), survey("nps", 55, 50, 8.0)]) == 8

    def test_separates_the_kinds_of_surveys(self):
        assert value("last_csat", surveys=[survey("nps", 60, 50, 3.0), survey("csat", 90, 80, 6.0)]) == 6

    def test_is_one_if_no_survey_was_answered(self):
        assert value("never_answered_survey", surveys=[survey("nps", 60), survey("nps", 30)]) == 1

    def test_is_missing_if_no_survey_was_sent(self):
        assert value("never_answered_survey", surveys=[{**survey("nps", 60), "account_id": "b"}]) is None

    def test_treats_a_survey_answered_at_as_of_as_unanswered(self):
        assert value("unanswered_surveys_182d", surveys=[survey("nps", 60, answered=0, score=9.0)]) == 1


class TestBilling:
    def test_is_past_due_by_the_longest_overdue_invoice(self):
        assert value("days_past_due", invoices=[invoice(1, due=40), invoice(2, due=10), invoice(3, 90, paid=80)]) == 40

    def test_is_not_past_due_if_all_is_paid(self):
        assert value("days_past_due", invoices=[invoice(1, due=40, paid=45)]) == 0

    @pytest.mark.parametrize("amount", [-60.0, 0.0])
    @pytest.mark.parametrize(
        "signal", ["days_past_due", "overdue_invoices", "failed_payments", "overdue_amount", "invoices_sent_182d"]
    )
    def test_owes_nothing_for_a_credit_note(self, signal, amount):
        assert value(signal, invoices=[invoice(1, due=40, amount=amount)]) == 0

    @pytest.mark.parametrize(
        ("signal", "expected"),
        [
            ("late_payment_share_182d", 0),
            ("payment_delay_182d", 0),
            ("days_since_payment", 40),
            ("largest_invoice_vs_average_91d", None),
        ],
    )
    def test_judges_payments_without_credit_notes(self, signal, expected):
        notes = [
            invoice(2, due=40, amount=-60.0),
            invoice(3, due=30, paid=20, amount=-9.0),
            invoice(4, 90, amount=-1.0),
        ]
        assert value(signal, invoices=[invoice(1, due=40, paid=40), *notes]) == expected

    def test_owes_an_invoice_of_an_unknown_amount(self):
        row = {name: cell for name, cell in invoice(1, due=40).items() if name != "amount"}
        assert value("days_past_due", invoices=[row]) == 40

    def test_counts_an_unpaid_due_invoice_as_late(self):
        invoices = [invoice(1, due=40, paid=45), invoice(2, due=10), invoice(3, due=-5)]
        assert value("late_payment_share_182d", invoices=invoices) == 0.5

    def test_does_not_count_payment_on_the_due_day_as_late(self):
        assert value("late_payment_share_182d", invoices=[invoice(1, due=40, paid=39.5)]) == 0

    def test_has_no_downsell_on_renewal_at_the_same_price(self):
        periods = [subscription("a", ago(60), ago(30)), subscription("a", ago(30))]
        assert value("downsells_364d", subscriptions=periods) == 0

    def test_has_a_contraction_if_the_next_period_costs_less(self):
        periods = [subscription("a", ago(60), ago(30)), subscription("a", ago(30), mrr=70.0)]
        assert value("contraction_91d", subscriptions=periods) == pytest.approx(30)

    def test_does_not_count_the_first_subscription_as_an_upsell(self):
        assert value("upsells_364d", subscriptions=[subscription("a", ago(60))]) == 0

    def test_separates_the_price_from_the_number_of_seats(self):
        periods = [
            subscription("a", ago(300), ago(100), seats=10.0),
            subscription("a", ago(100), seats=20.0, mrr=300.0),
        ]
        assert value("price_per_seat_change_182d", subscriptions=periods) == pytest.approx(1.5)


class TestContract:
    def test_counts_the_days_until_the_notice_takes_effect(self):
        notices = [{"account_id": "a", "notified_at": ago(10), "effective_at": ago(-20), "voluntary": True}]
        assert value("days_until_cancellation", notices=notices) == 20

    def test_ignores_a_notice_given_at_as_of(self):
        notices = [{"account_id": "a", "notified_at": AS_OF, "effective_at": ago(-20), "voluntary": True}]
        assert value("notices_given", notices=notices) == 0

    @pytest.mark.parametrize(
        ("plans", "expected"),
        [
            ({"starter": None}, "starter"),
            ({"starter": 3.0, "training": None}, "starter"),
            ({"starter": 3.0, "team": 0.0, "training": None}, "team"),
            ({"api": None, "extra": None}, "extra"),
        ],
    )
    def test_names_a_plan_with_or_without_seats(self, plans, expected):
        rows = [
            subscription("a", ago(30), plan=plan, seats=seats, subscription_id=plan) for plan, seats in plans.items()
        ]
        ended = subscription("a", ago(90), ago(30), plan="zero", seats=9.0)
        assert value("plan", subscriptions=[*rows, ended]) == expected

    def test_counts_renewals_of_one_day_once(self):
        rows = [subscription("a", ago(30 + hour / 24), subscription_id=str(hour)) for hour in (1, 5, 12)]
        assert value("renewals", subscriptions=[*rows, subscription("a", ago(60))]) == 2

    def test_weights_renewals_by_revenue(self):
        soon, late = subscription("a", ago(300), renews_at=ago(-65)), subscription("a", ago(200), renews_at=ago(-165))
        assert value("mrr_renewing_share", subscriptions=[soon, {**late, "mrr": 300.0}]) == 0.25

    def test_uses_the_seats_of_a_period_that_has_ended(self):
        periods = [subscription("a", ago(300), ago(100), seats=10.0), subscription("a", ago(100), seats=5.0)]
        assert value("seats_change_182d", subscriptions=periods) == 0.5


class TestOnboarding:
    def test_is_stalled_since_the_last_reached_milestone(self):
        plan = [milestone("kickoff", 90, 85), milestone("live", 30)]
        assert value("onboarding_stalled_days", milestones=plan, accounts=[account("a", ago(100))]) == 85

    def test_is_stalled_since_the_start_if_none_was_reached(self):
        plan = [milestone("kickoff", 90)]
        assert value("onboarding_stalled_days", milestones=plan, accounts=[account("a", ago(100))]) == 100

    def test_is_not_stalled_while_nothing_is_overdue(self):
        plan = [milestone("kickoff", 90, 85), milestone("live", -30)]
        assert value("onboarding_stalled_days", milestones=plan, accounts=[account("a", ago(100))]) == 0

    def test_counts_days_from_creation_to_first_value(self):
        plan = [milestone("first_value", 60, 55)]
        assert value("days_to_first_value", milestones=plan, accounts=[account("a", ago(100))]) == 45

    def test_counts_days_waiting_for_first_value(self):
        plan = [milestone("first_value", due=60, reached=-3)]
        assert value("days_waiting_for_first_value", milestones=plan, accounts=[account("a", ago(100))]) == 100


class TestEngagement:
    def test_counts_days_since_the_first_unanswered_touch(self):
        touches = [touch(90, True), touch(60, False), touch(40, False), touch(5, False)]
        assert value("days_without_answer", touches=touches) == 60
        assert value("consecutive_unanswered_touches", touches=touches) == 2

    def test_is_zero_if_the_last_touch_was_answered(self):
        assert value("days_without_answer", touches=[touch(90, False), touch(60, True)]) == 0

    def test_ignores_answers_to_touches_of_last_week(self):
        assert value("touch_response_rate_91d", touches=[touch(60, False), touch(7, True)]) == 0

    def test_does_not_count_commercial_touches_as_value(self):
        assert value("days_since_value_touch", touches=[touch(3, commercial=True), touch(30)]) == 30

    def test_compares_the_current_gap_with_the_average_gap(self):
        assert value("touch_gap_vs_average", touches=[touch(30), touch(40), touch(60)]) == 2

    def test_has_no_average_gap_after_one_touch(self):
        assert value("average_touch_gap_364d", touches=[touch(30)]) is None


class TestFit:
    def test_has_a_parent_if_one_is_given(self):
        assert value("has_parent_account", accounts=[account("a", parent_id="z")]) == 1

    def test_counts_days_from_creation_to_first_subscription(self):
        assert value("days_to_first_subscription", accounts=[account("a", ago(430))]) == 30

    def test_is_missing_for_a_company_without_employees(self):
        assert value("mrr_per_employee", accounts=[account("a", employees=0.0)]) is None


class TestAbsence:
    def test_a_missing_table_removes_its_signals(self):
        tables = raw_tables(subscriptions=[subscription("a", ago(400))], accounts=[account("a")])
        needed = {name for signal in available_signals(tables, catalogue(), "named") for name in signal.inputs}
        assert needed.isdisjoint({"usage_days", "presence", "answers", "unanswered", "surveys", "touches"})

    def test_a_missing_column_removes_its_signals(self):
        survey_row = {"account_id": "a", "kind": "nps", "sent_at": ago(9)}
        tables = raw_tables(subscriptions=[subscription("a", ago(400))], surveys=[survey_row])
        names = {signal.name for signal in available_signals(tables, catalogue(), "named")}
        assert "surveys_sent_182d" in names
        assert "last_nps" not in names

    def test_counted_users_have_no_signals_of_named_users(self):
        tables = raw_tables(subscriptions=[subscription("a", ago(400))], usage=events(3, user_id="ada"))
        names = {signal.name for signal in available_signals(tables, catalogue(), "counted")}
        assert "daily_active_users_28d" in names
        assert "lost_users_28d" not in names

    def test_a_signal_without_its_inputs_is_refused(self):
        signals = tuple(signal for signal in catalogue() if signal.name == "price_per_seat")
        with pytest.raises(LookupError, match="price_per_seat"):
            compute_signals(raw_tables(subscriptions=[subscription("a", ago(400))]), signals, AS_OF)


def available(**tables: list[dict]) -> set[str]:
    return {signal.name for signal in available_signals(raw_tables(**tables), catalogue(), "named")}


def test_a_plan_needs_no_seats_and_a_due_date_no_amount():
    names = available(
        subscriptions=[subscription("a", ago(9), plan="basic")],
        invoices=[{name: cell for name, cell in invoice(1, due=40).items() if name != "amount"}],
    )
    assert {"plan", "days_past_due", "late_payment_share_182d"} <= names
    assert names.isdisjoint({"overdue_amount", "seats", "largest_invoice_vs_average_91d"})


def test_what_is_missing_is_grouped_by_what_would_help():
    tables = raw_tables(subscriptions=[subscription("a", ago(9), plan="basic")], usage=events(3))
    missing = missing_inputs(tables, catalogue(), "counted")
    signals = {name for needed in missing for name in needed.signals}
    ready = {signal.name for signal in available_signals(tables, catalogue(), "counted")}
    assert signals | ready == {signal.name for signal in catalogue()}
    assert signals.isdisjoint(ready)
    needs = {name: needed.inputs for needed in missing for name in needed.signals}
    assert needs["seats"] == ("subscriptions.seats",)
    assert needs["tickets_per_seat_91d"] == ("subscriptions.seats", "tickets")
    assert needs["lost_users_28d"] == ('people = "named"', "usage.user_id")
    sizes = [len(needed.signals) for needed in missing]
    assert sizes == sorted(sizes, reverse=True)
