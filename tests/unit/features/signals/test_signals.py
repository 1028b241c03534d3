"""What single signals say of a few rows; the test's name finishes the sentence "it ..."."""

from datetime import datetime, timedelta

import pytest

from features.compute.compute import carried, compute
from features.signals.registry import catalogue
from tests.conftest import account, raw_tables, subscription
from tests.support.compiled_catalogue import with_inputs

AS_OF = datetime(2024, 5, 15)


def ago(days: float) -> datetime:
    """The instant so many days before the snapshot, ahead of it where negative."""
    return AS_OF - timedelta(days=days)


def value(signal: str, **tables: list[dict]) -> float | str | None:
    """The signal of account `a`, which has had one subscription for 400 days unless the tables say otherwise."""
    given = raw_tables(**{"subscriptions": [subscription("a", ago(400))], **tables})
    (row,) = compute(given, with_inputs({signal}), AS_OF).to_pyarrow().to_pylist()
    return row[signal]


def events(*days: float, **more: object) -> list[dict]:
    return [{"account_id": "a", "event": "open", "occurred_at": ago(day), "quantity": 1.0, **more} for day in days]


def ticket(number: int, opened: float, resolved: float | None = None, **more: object) -> dict:
    resolved_at = None if resolved is None else ago(resolved)
    return {"account_id": "a", "ticket_id": f"t{number}", "opened_at": ago(opened), "resolved_at": resolved_at, **more}


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

    def test_counts_events_once_each_where_the_source_has_no_quantity(self):
        bare = [{name: row[name] for name in ("account_id", "event", "occurred_at")} for row in events(3, 4)]
        tables = raw_tables(subscriptions=[subscription("a", ago(400))], usage=bare)
        assert "events_28d" in {one.name for one in carried(tables, catalogue(), "unknown")}
        assert value("events_28d", usage=bare) == 2

    def test_compares_the_last_weeks_with_the_best_of_half_a_year(self):
        assert value("events_share_of_peak_28d", usage=events(3, 30, 31, 33, 60)) == pytest.approx(1 / 3)

    def test_counts_the_spell_that_lasts_until_now(self):
        assert value("longest_usage_gap_91d", usage=events(10, 12, 17)) == 10

    def test_counts_the_spell_between_two_active_days(self):
        assert value("longest_usage_gap_91d", usage=events(1, 21, 22)) == 20

    def test_misses_the_people_of_half_a_year_who_were_not_seen_lately(self):
        usage = [*events(100, 3, user_id="ada"), *events(100, user_id="ben"), *events(200, user_id="cleo")]
        assert value("lost_users_28d", usage=usage) == 1

    def test_calls_a_kind_new_that_half_a_year_did_not_know(self):
        usage = [*events(100, 3), *events(4, 5, event="export")]
        assert value("new_event_types_28d", usage=usage) == 1

    def test_gives_the_share_of_the_busiest_person(self):
        usage = [*events(1, 2, 3, user_id="ada"), *events(4, user_id="ben")]
        assert value("top_user_share_28d", usage=usage) == 0.75

    def test_takes_a_wednesday_for_a_weekday_and_a_sunday_not(self):
        assert value("weekday_event_share_28d", usage=events(7, 14, 3)) == pytest.approx(2 / 3)

    def test_does_not_take_the_daily_count_of_people_for_an_event(self):
        assert value("events_28d", usage=[*events(2), *events(2, event="active_users", quantity=40.0)]) == 1


class TestValue:
    def test_counts_what_is_paid_for_seats_that_nobody_uses(self):
        usage = events(2, event="active_users", quantity=4.0)
        paid = [subscription("a", ago(400), seats=10.0)]
        assert value("unused_seat_mrr_28d", usage=usage, subscriptions=paid) == pytest.approx(60)

    def test_finds_no_idle_seat_where_more_people_come_than_seats_were_sold(self):
        usage = events(2, event="active_users", quantity=14.0)
        paid = [subscription("a", ago(400), seats=10.0)]
        assert value("unused_seat_mrr_28d", usage=usage, subscriptions=paid) == 0

    def test_counts_the_paid_days_after_the_first_value(self):
        paid = [subscription("a", ago(100), renews_at=ago(-265))]
        reached = [milestone("first_value", due=60, reached=50)]
        assert value("days_from_first_value_to_renewal", subscriptions=paid, milestones=reached) == 315

    def test_attains_half_where_one_of_two_goals_is_reached(self):
        plan = [milestone("kickoff", 90, 90), milestone("first_value", 60, 50), milestone("live", 30)]
        assert value("key_milestones_reached_share", milestones=plan) == 0.5


class TestSupport:
    def test_measures_the_first_response_from_the_opening_in_hours(self):
        tickets = [ticket(1, 10, first_response_at=ago(9.5)), ticket(2, 5, first_response_at=ago(4)), ticket(3, 1)]
        assert value("first_response_hours_91d", tickets=tickets) == 18

    def test_takes_a_ticket_resolved_at_the_instant_for_open(self):
        assert value("oldest_open_ticket_age", tickets=[ticket(1, 20, resolved=0), ticket(2, 30, resolved=1)]) == 20

    def test_lets_the_backlog_shrink_by_old_tickets_that_are_resolved(self):
        assert value("ticket_backlog_growth_28d", tickets=[ticket(1, 90, 10), ticket(2, 80, 3), ticket(3, 5)]) == -1

    def test_reads_the_escalation_of_resolved_tickets_only(self):
        tickets = [ticket(1, 9, escalated=True), ticket(2, 9, 5, escalated=True), ticket(3, 9, 5, escalated=False)]
        assert value("escalated_ticket_share_182d", tickets=tickets) == 0.5

    def test_trusts_a_satisfaction_two_weeks_after_the_ticket_was_resolved(self):
        assert value("ticket_csat_91d", tickets=[ticket(1, 40, 15, csat=5.0), ticket(2, 40, 13, csat=1.0)]) == 5

    def test_has_no_trend_where_there_was_no_ticket_before(self):
        assert value("tickets_trend_28d", tickets=[ticket(1, 3, escalated=None)]) is None


class TestRelationship:
    def test_misses_a_champion_who_left_without_a_successor(self):
        assert value("all_champions_left", contacts=[contact(1, "champion", 300, left=20)]) == 1

    def test_misses_none_where_another_champion_is_there(self):
        contacts = [contact(1, "champion", 300, left=20), contact(2, "champion", 10)]
        assert value("all_champions_left", contacts=contacts) == 0

    def test_does_not_know_yet_of_a_departure_that_lies_ahead(self):
        assert value("champions_left_91d", contacts=[contact(1, "champion", 300, left=-1)]) == 0

    def test_turns_over_only_the_contacts_that_were_there_then(self):
        contacts = [contact(1, "user", 300, left=20), contact(2, "user", 300), contact(3, "user", 100, left=20)]
        assert value("contacts_left_share_182d", contacts=contacts) == 0.5

    def test_counts_nobody_for_an_account_without_contacts(self):
        assert value("current_contacts", contacts=[{**contact(1, "user", 9), "account_id": "b"}]) == 0


class TestSentiment:
    def test_gives_the_last_answer_not_the_last_survey(self):
        surveys = [survey("nps", 90, 80, 9.0), survey("nps", 60, 50, 3.0), survey("nps", 10)]
        assert value("last_nps", surveys=surveys) == 3
        assert value("last_nps_age", surveys=surveys) == 50

    def test_gives_the_best_of_two_answers_of_the_same_instant(self):
        assert value("last_nps", surveys=[survey("nps", 60, 50, 3.0), survey("nps", 55, 50, 8.0)]) == 8

    def test_keeps_the_kinds_of_surveys_apart(self):
        assert value("last_csat", surveys=[survey("nps", 60, 50, 3.0), survey("csat", 90, 80, 6.0)]) == 6

    def test_says_that_an_account_never_answered(self):
        assert value("never_answered_survey", surveys=[survey("nps", 60), survey("nps", 30)]) == 1

    def test_does_not_say_so_of_an_account_that_was_never_asked(self):
        assert value("never_answered_survey", surveys=[{**survey("nps", 60), "account_id": "b"}]) is None

    def test_takes_a_survey_for_unanswered_until_the_answer_is_known(self):
        assert value("unanswered_surveys_182d", surveys=[survey("nps", 60, answered=0, score=9.0)]) == 1


class TestBilling:
    def test_is_past_due_by_the_longest_overdue_invoice(self):
        assert value("days_past_due", invoices=[invoice(1, due=40), invoice(2, due=10), invoice(3, 90, paid=80)]) == 40

    def test_is_not_past_due_where_all_is_paid(self):
        assert value("days_past_due", invoices=[invoice(1, due=40, paid=45)]) == 0

    def test_takes_an_unpaid_invoice_for_late_once_it_is_due(self):
        invoices = [invoice(1, due=40, paid=45), invoice(2, due=10), invoice(3, due=-5)]
        assert value("late_payment_share_182d", invoices=invoices) == 0.5

    def test_does_not_take_a_payment_within_the_due_day_for_late(self):
        assert value("late_payment_share_182d", invoices=[invoice(1, due=40, paid=39.5)]) == 0

    def test_sees_no_step_where_a_period_follows_on_another_at_the_same_price(self):
        periods = [subscription("a", ago(60), ago(30)), subscription("a", ago(30))]
        assert value("downsells_364d", subscriptions=periods) == 0

    def test_sees_a_step_down_where_the_next_period_costs_less(self):
        periods = [subscription("a", ago(60), ago(30)), subscription("a", ago(30), mrr=70.0)]
        assert value("contraction_91d", subscriptions=periods) == pytest.approx(30)

    def test_does_not_take_the_first_subscription_for_an_upsell(self):
        assert value("upsells_364d", subscriptions=[subscription("a", ago(60))]) == 0

    def test_tells_a_higher_price_from_more_seats(self):
        periods = [
            subscription("a", ago(300), ago(100), seats=10.0),
            subscription("a", ago(100), seats=20.0, mrr=300.0),
        ]
        assert value("price_per_seat_change_182d", subscriptions=periods) == pytest.approx(1.5)


class TestContract:
    def test_counts_the_days_until_the_notice_takes_effect(self):
        notices = [{"account_id": "a", "notified_at": ago(10), "effective_at": ago(-20), "voluntary": True}]
        assert value("days_until_cancellation", notices=notices) == 20

    def test_knows_no_notice_before_it_is_given(self):
        notices = [{"account_id": "a", "notified_at": AS_OF, "effective_at": ago(-20), "voluntary": True}]
        assert value("notices_given", notices=notices) == 0

    def test_weighs_what_is_up_for_renewal_by_its_revenue(self):
        soon, late = subscription("a", ago(300), renews_at=ago(-65)), subscription("a", ago(200), renews_at=ago(-165))
        assert value("mrr_renewing_share", subscriptions=[soon, {**late, "mrr": 300.0}]) == 0.25

    def test_sees_the_seats_of_then_though_their_period_has_ended(self):
        periods = [subscription("a", ago(300), ago(100), seats=10.0), subscription("a", ago(100), seats=5.0)]
        assert value("seats_change_182d", subscriptions=periods) == 0.5


class TestOnboarding:
    def test_is_stalled_since_the_last_milestone_while_one_is_overdue(self):
        plan = [milestone("kickoff", 90, 85), milestone("live", 30)]
        assert value("onboarding_stalled_days", milestones=plan, accounts=[account("a", ago(100))]) == 85

    def test_is_stalled_since_the_start_where_none_was_ever_reached(self):
        plan = [milestone("kickoff", 90)]
        assert value("onboarding_stalled_days", milestones=plan, accounts=[account("a", ago(100))]) == 100

    def test_is_not_stalled_while_nothing_is_overdue(self):
        plan = [milestone("kickoff", 90, 85), milestone("live", -30)]
        assert value("onboarding_stalled_days", milestones=plan, accounts=[account("a", ago(100))]) == 0

    def test_counts_from_the_start_of_the_account_to_the_first_value(self):
        plan = [milestone("first_value", 60, 55)]
        assert value("days_to_first_value", milestones=plan, accounts=[account("a", ago(100))]) == 45

    def test_waits_for_the_first_value_until_it_is_reached(self):
        plan = [milestone("first_value", due=60, reached=-3)]
        assert value("days_waiting_for_first_value", milestones=plan, accounts=[account("a", ago(100))]) == 100


class TestEngagement:
    def test_has_gone_dark_since_the_first_touch_after_the_last_answer(self):
        touches = [touch(90, True), touch(60, False), touch(40, False), touch(5, False)]
        assert value("days_without_answer", touches=touches) == 60
        assert value("consecutive_unanswered_touches", touches=touches) == 2

    def test_has_not_gone_dark_where_the_last_touch_was_answered(self):
        assert value("days_without_answer", touches=[touch(90, False), touch(60, True)]) == 0

    def test_does_not_know_yet_whether_a_touch_of_last_week_was_answered(self):
        assert value("touch_response_rate_91d", touches=[touch(60, False), touch(7, True)]) == 0

    def test_does_not_take_selling_for_value(self):
        assert value("days_since_value_touch", touches=[touch(3, commercial=True), touch(30)]) == 30

    def test_breaches_the_cadence_relative_to_the_usual_gap(self):
        assert value("touch_gap_vs_average", touches=[touch(30), touch(40), touch(60)]) == 2

    def test_has_no_usual_gap_after_one_touch(self):
        assert value("average_touch_gap_364d", touches=[touch(30)]) is None


class TestFit:
    def test_belongs_to_a_parent_where_one_is_named(self):
        assert value("has_parent_account", accounts=[account("a", parent_id="z")]) == 1

    def test_counts_from_the_account_to_its_first_subscription(self):
        assert value("days_to_first_subscription", accounts=[account("a", ago(430))]) == 30

    def test_knows_no_revenue_for_each_person_of_a_company_without_people(self):
        assert value("mrr_per_employee", accounts=[account("a", employees=0.0)]) is None


class TestAbsence:
    def test_a_missing_table_takes_away_what_is_derived_from_it(self):
        tables = raw_tables(subscriptions=[subscription("a", ago(400))], accounts=[account("a")])
        needed = {name for one in carried(tables, catalogue(), "named") for name in one.inputs}
        assert needed.isdisjoint({"usage_days", "presence", "answers", "unanswered", "surveys", "touches"})

    def test_a_missing_column_takes_away_what_is_derived_from_it(self):
        bare = {"account_id": "a", "kind": "nps", "sent_at": ago(9)}
        tables = raw_tables(subscriptions=[subscription("a", ago(400))], surveys=[bare])
        names = {one.name for one in carried(tables, catalogue(), "named")}
        assert "surveys_sent_182d" in names
        assert "last_nps" not in names

    def test_counted_people_have_no_names(self):
        tables = raw_tables(subscriptions=[subscription("a", ago(400))], usage=events(3, user_id="ada"))
        names = {one.name for one in carried(tables, catalogue(), "counted")}
        assert "daily_active_users_28d" in names
        assert "lost_users_28d" not in names

    def test_a_signal_without_those_it_is_made_of_is_refused(self):
        alone = tuple(one for one in catalogue() if one.name == "price_per_seat")
        with pytest.raises(LookupError, match="price_per_seat"):
            compute(raw_tables(subscriptions=[subscription("a", ago(400))]), alone, AS_OF)
