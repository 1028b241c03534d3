"""The names that companies and their tools give to the tables and columns of the contract."""

import re
from collections.abc import Sequence

TABLE_WORDS: dict[str, tuple[str, ...]] = {
    "accounts": ("account", "customer", "company", "client", "organization", "organisation", "tenant", "workspace"),
    "subscriptions": ("subscription", "contract", "plan", "license", "licence", "membership", "agreement", "billing"),
    "usage": ("usage", "event", "activity", "login", "session", "product", "track", "feature_usage", "order", "line"),
    "tickets": ("ticket", "case", "support", "conversation", "issue", "incident"),
    "invoices": ("invoice", "payment", "charge", "bill"),
    "surveys": ("survey", "nps", "csat", "ces", "feedback", "response"),
    "touches": ("touch", "touchpoint", "call", "meeting", "task", "engagement", "interaction"),
    "contacts": ("contact", "person", "people", "user", "member"),
    "milestones": ("milestone", "onboarding", "implementation", "step"),
    "notices": ("notice", "cancellation", "churn", "churn_event", "termination"),
    "plays": ("play", "playbook", "intervention"),
}
ACCOUNT_WORDS = (
    *("account_id", "account", "acct_id", "acct", "account_no", "account_number", "account_key", "accountid"),
    *("customer_id", "customer", "cust_id", "customerid", "customer_no", "customer_number", "customer_key"),
    *("company_id", "company", "client_id", "client", "org_id", "organization_id", "organisation_id", "organization"),
    *("tenant_id", "workspace_id", "team_id", "group_id", "subscriber_id", "kunde", "kundennummer", "kunden_id"),
)
COLUMN_WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "accounts": {
        "name": ("account_name", "customer_name", "company_name", "company", "display_name", "organization_name"),
        "segment": ("tier", "size", "customer_segment", "account_segment", "plan_tier", "customer_type", "type"),
        "industry": ("sector", "vertical", "branch"),
        "country": ("billing_country", "country_code", "country_region", "region", "geo", "land"),
        "employees": ("employee_count", "num_employees", "number_of_employees", "headcount", "company_size"),
        "created_at": (
            *("created", "created_date", "create_date", "createdate", "signup_date", "signed_up_at", "signup_at"),
            *("customer_since", "registered_at", "joined_at", "start_date", "since", "signup", "date_joined"),
        ),
        "parent_id": ("parent", "parent_account_id", "parent_account", "parent_company_id"),
        "owner": (
            "csm",
            "account_owner",
            "company_owner",
            "owner_name",
            "account_manager",
            "owner_id",
            "customer_success_manager",
        ),
        "channel": ("source", "referral_source", "acquisition_channel", "lead_source", "sales_channel"),
    },
    "subscriptions": {
        "subscription_id": ("id", "subscription", "sub_id", "contract_id", "contract_number", "plan_id", "license_id"),
        "plan": ("plan_name", "product", "product_name", "tier", "plan_tier", "package", "sku"),
        "seats": ("quantity", "licenses", "licences", "users", "seat_count", "num_seats", "units"),
        "mrr": (
            *("mrr_amount", "monthly_recurring_revenue", "monthly_price", "monthly_amount", "monthly_revenue"),
            *("monthly_fee", "amount", "price", "plan_amount", "monthly_charge", "monthly_charges", "value", "fee"),
            *("mrr_eur", "mrr_usd", "recurring_revenue", "betrag", "preis"),
        ),
        "started_at": (
            *("start_date", "started", "start", "starts_at", "start_at", "begin_date", "effective_date", "from"),
            *("current_term_start", "contract_start", "contract_start_date", "valid_from", "activated_at", "beginn"),
            *("created_at", "created", "signup_date", "subscription_start", "subscription_start_date", "begins_at"),
        ),
        "ended_at": (
            *("end_date", "ended", "end", "ends_at", "end_at", "churned_at", "churn_date", "cancelled_at", "valid_to"),
            *("canceled_at", "cancellation_date", "cancel_date", "terminated_at", "termination_date", "closed_at"),
            *("contract_end", "contract_end_date", "expired_at", "expires_at", "subscription_end", "to", "ende"),
            *("subscription_end_date", "deactivated_at", "cancelled_on", "canceled_on"),
        ),
        "term_months": (
            *("term", "contract_term", "contract_length", "term_length", "duration_months", "contract_months"),
            *("bill_period_months", "billing_period_months"),
        ),
        "renews_at": (
            *("renewal_date", "next_renewal", "renewal", "current_period_end", "next_billing_date", "renews_on"),
            *("next_renewal_date", "current_term_end", "term_end", "paid_until", "period_end", "next_billing_at"),
        ),
        "auto_renew": ("auto_renewal", "auto_renew_flag", "autorenew", "is_auto_renew", "renews_automatically"),
        "discount": ("discount_rate", "discount_pct", "discount_percent", "discount_share"),
        "trial_until": ("trial_end", "trial_ends_at", "trial_end_date", "trial_ended_at", "trial_end_at", "trial_ends"),
        "paused_from": ("paused_at", "pause_date", "pause_start", "pause_started_at", "pause_start_date", "paused_on"),
        "paused_until": ("resume_date", "resumes_at", "resumed_at", "pause_end", "pause_ends_at", "pause_end_date"),
        "is_free": ("free_plan", "is_free_plan"),
    },
    "usage": {
        "user_id": ("user", "person_id", "contact_id", "member_id", "userid", "distinct_id", "actor_id", "user_email"),
        "event": (
            *("event_name", "event_type", "event_type_name", "action", "feature", "feature_name", "activity", "name"),
            *("type", "kind"),
        ),
        "occurred_at": (
            *("timestamp", "event_time", "time", "date", "event_date", "created_at", "occurred", "ts", "day"),
            *("usage_date", "event_timestamp", "happened_at", "logged_at", "activity_date", "at", "datum", "datetime"),
            *("invoicedate", "invoice_date", "order_date", "received_at", "event_at", "purchased_at"),
        ),
        "quantity": ("count", "n_events", "events", "usage_count", "qty", "total", "amount", "value", "num_events"),
    },
    "tickets": {
        "ticket_id": ("id", "case_id", "case_number", "ticket", "conversation_id", "ticket_number", "issue_id"),
        "opened_at": ("created_at", "created", "submitted_at", "opened", "open_date", "created_date", "date_opened"),
        "first_response_at": ("first_reply_at", "first_responded_at", "first_reply", "first_admin_reply_at"),
        "resolved_at": ("closed_at", "solved_at", "closed", "closed_date", "resolution_date", "resolved", "close_date"),
        "severity": ("priority", "urgency"),
        "kind": ("type", "category", "ticket_type", "topic", "reason"),
        "escalated": ("escalation_flag", "is_escalated", "isescalated", "escalation"),
        "csat": ("satisfaction_score", "satisfaction", "rating", "csat_score", "satisfaction_rating"),
    },
    "invoices": {
        "invoice_id": ("id", "invoice", "invoice_no", "invoice_number", "number", "invoiceno", "rechnungsnummer"),
        "issued_at": ("invoice_date", "date", "created_at", "created", "issued", "issue_date", "billed_at", "sent_at"),
        "due_at": ("due_date", "due", "payment_due"),
        "paid_at": ("payment_date", "paid_date", "paid", "paid_on", "settled_at"),
        "amount": ("total", "amount_due", "invoice_amount", "amount_total", "value", "total_amount", "betrag"),
    },
    "surveys": {
        "respondent_id": ("respondent", "contact_id", "user_id", "person_id", "email", "respondent_email"),
        "kind": ("survey_type", "type", "survey"),
        "sent_at": ("sent", "sent_date", "survey_date", "date", "created_at", "created"),
        "answered_at": ("responded_at", "response_date", "answered", "submitted_at", "completed_at"),
        "score": ("nps", "rating", "nps_score", "csat", "value", "response", "survey_score"),
    },
    "touches": {
        "at": ("date", "occurred_at", "timestamp", "activity_date", "created_at", "touch_date", "call_date"),
        "kind": ("type", "activity_type", "channel", "touch_type"),
        "by": ("owner", "csm", "user", "performed_by", "author"),
        "responded": ("replied", "attended", "answered", "response"),
        "commercial": ("is_sales", "sales", "is_commercial"),
    },
    "contacts": {
        "contact_id": ("id", "user_id", "person_id", "email", "contact"),
        "role": ("title", "contact_role", "type", "job_role", "persona"),
        "joined_at": ("created_at", "created", "added_at", "start_date", "first_seen", "created_date"),
        "left_at": ("deactivated_at", "removed_at", "end_date", "left", "deleted_at"),
    },
    "milestones": {
        "milestone": ("name", "step", "stage", "milestone_name", "task"),
        "due_at": ("due_date", "planned_at", "target_date", "planned_date", "due"),
        "reached_at": ("completed_at", "done_at", "completed_date", "actual_date", "reached", "achieved_at"),
    },
    "notices": {
        "notified_at": (
            *("notice_date", "notified", "cancellation_requested_at", "requested_at", "churn_date", "date"),
            *("cancelled_at", "canceled_at", "cancellation_date", "created_at", "notice_at"),
        ),
        "effective_at": ("effective_date", "ends_at", "end_date", "effective"),
        "reason": ("churn_reason", "reason_code", "cancellation_reason", "cancel_reason"),
        "voluntary": ("is_voluntary",),
    },
    "plays": {
        "play": ("play_name", "playbook", "name"),
        "assigned_at": ("assigned", "created_at", "date"),
        "holdout": ("is_holdout", "control", "control_group"),
        "started_at": ("started", "start_date"),
        "outcome": ("result", "status"),
    },
}
RECORDED_WORDS = ("recorded_at", "ingested_at", "loaded_at", "inserted_at", "_loaded_at", "synced_at")
ANNUAL_WORDS = ("arr", "acv", "annual_value", "annual_amount", "annual_price", "yearly_price", "annual_revenue")
CENTS_WORDS = ("amount_cents", "mrr_cents", "unit_amount", "price_cents", "plan_amount_cents")
CURRENCY_WORDS = ("currency", "currency_code", "iso_currency", "waehrung", "currency_iso")
STATUS_WORDS = ("status", "state", "subscription_status", "account_status", "lifecycle_stage", "customer_status")
TEST_WORDS = ("is_test", "test", "test_account", "is_internal", "internal", "is_demo", "demo", "sandbox")
EMAIL_WORDS = ("email", "billing_email", "contact_email", "domain", "website")
MERGED_WORDS = ("merged_into", "merged_into_id", "merged_to", "master_id", "master_record_id", "duplicate_of")
MERGED_LIST_WORDS = ("merged_ids", "merged_object_ids", "merged_from")
DELETED_WORDS = ("is_deleted", "deleted", "isdeleted", "_deleted", "deleted_flag")
PERIOD_WORDS = ("interval", "billing_period", "billing_frequency", "billing_cycle", "plan_interval", "frequency")


def normalise(name: str) -> str:
    """A column's name as the vocabulary writes names.

    >>> normalise("CustomerID"), normalise("Start Date"), normalise("Created (UTC)"), normalise("MRR (EUR)")
    ('customer_id', 'start_date', 'created', 'mrr_eur')
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name.strip())
    return re.sub(r"\W+|_+", "_", words).strip("_").lower().removesuffix("_utc")


def column_words(table: str, column: str) -> tuple[str, ...]:
    """The names of a column of the contract, the best first."""
    if column == "account_id":
        return ACCOUNT_WORDS
    if column == "recorded_at":
        return RECORDED_WORDS
    return (column, *COLUMN_WORDS[table].get(column, ()))


def columns_by_word(columns: Sequence[str]) -> dict[str, str]:
    """The columns by their names as the vocabulary writes them; the first of several with one name."""
    return {normalise(column): column for column in reversed(columns)}


def table_word_score(source: str, table: str) -> int:
    """How well a source's name says that it is a table: 2 for the whole name, 1 for a part of it."""
    name = normalise(source)
    singular = name.removesuffix("s") if not name.endswith("ies") else f"{name[:-3]}y"
    if name == table or singular in TABLE_WORDS[table]:
        return 2
    parts = {part.removesuffix("s") for part in name.split("_")} | set(name.split("_"))
    return 1 if parts & set(TABLE_WORDS[table]) else 0
