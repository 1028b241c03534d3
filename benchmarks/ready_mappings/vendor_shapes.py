"""A simulated company in the shape of vendors' exports: a query per file, over the tables of the contract.

Each account has one contract over all of its terms, with its last price: that is what a billing system still holds.
Every tenth row of usage is an event of a person.
"""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from features.compute.backends.duckdb import quote_text

# The simulator counts the rows of each shard of accounts anew; a vendor has one id for each of its rows.
OWN_IDS = {"subscriptions": "subscription_id", "tickets": "ticket_id", "invoices": "invoice_id"}
TABLES = ("accounts", "subscriptions", "usage", "tickets", "invoices", "surveys", "touches", "notices")
SHARED_VIEWS = """
create view contract as
select account_id, any_value(plan) as plan, arg_max(mrr, started_at) as mrr, min(started_at) as started_at,
       case when bool_and(ended_at is not null) then max(ended_at) end as ended_at
from subscriptions group by 1;
create view last_notice as
select notices.* from notices join contract using (account_id)
where contract.ended_at is not null or notices.effective_at > (select max(started_at) from subscriptions)
qualify row_number() over (partition by account_id order by notified_at desc) = 1;
create view ending as
select contract.*, notified_at, effective_at, reason, coalesce(voluntary, true) as voluntary
from contract left join last_notice using (account_id);
create view events as
select account_id, event, occurred_at + to_hours(9) + to_minutes((hash(account_id || event) % 480)::bigint) as "at",
       account_id || '-' || (hash(event || occurred_at::varchar) % 5) as person,
       md5(account_id || event || occurred_at::varchar) as id
from usage where event <> 'active_users' and hash(account_id || occurred_at::varchar || event) % 10 = 0;
"""
STRIPE = {
    "customers": "select account_id as id, name, country as address_country, created_at as created from accounts",
    "subscriptions": """
        select 'sub_' || account_id as id, account_id as customer_id,
               case when ended_at is null then 'active' else 'canceled' end as status, started_at as created,
               started_at as start_date, null as trial_start, null as trial_end,
               coalesce(notified_at, ended_at) as canceled_at, effective_at as cancel_at, ended_at,
               case when voluntary then 'cancellation_requested' else 'payment_failed' end
                   as cancellation_details_reason
        from ending""",
    "subscription_items": """
        select 'si_' || account_id as id, 'sub_' || account_id as subscription_id, 'price_' || account_id as price_id,
               1 as quantity, started_at as created from contract""",
    "prices": """
        select 'price_' || account_id as id, plan as product_id, plan as nickname, 'usd' as currency,
               (mrr * 100)::bigint as unit_amount, mrr * 100 as unit_amount_decimal, 'per_unit' as billing_scheme,
               'month' as recurring_interval, 1 as recurring_interval_count, 'licensed' as recurring_usage_type
        from contract""",
    "invoices": """
        select invoice_id as id, account_id as customer_id, 'sub_' || account_id as subscription_id,
               case when paid_at is null then 'open' else 'paid' end as status, 'subscription_cycle' as billing_reason,
               'usd' as currency, (amount * 100)::bigint as subtotal, (amount * 100)::bigint as total,
               issued_at as created, due_at as due_date, issued_at as status_transitions_finalized_at,
               paid_at as status_transitions_paid_at from invoices""",
}
CHARGEBEE = {
    "customer": """
        select account_id as id, name as company, country as billing_address_country, created_at from accounts""",
    "subscription": """
        select 's_' || account_id as id, account_id as customer_id,
               case when ended_at is not null then 'cancelled' when effective_at is not null then 'non_renewing'
                    else 'active' end as status,
               'EUR' as currency_code, 1 as billing_period, 'month' as billing_period_unit, started_at as created_at,
               started_at, coalesce(ended_at, effective_at) as cancelled_at,
               coalesce(notified_at, ended_at) as cancel_schedule_created_at,
               case when not voluntary then 'not_paid' end as cancel_reason, reason as cancel_reason_code
        from ending""",
    "subscription_item": """
        select 's_' || account_id as subscription_id, plan || '-EUR-Monthly' as item_price_id, 'plan' as item_type,
               1 as quantity, (mrr * 100)::bigint as unit_price, (mrr * 100)::bigint as amount from contract""",
    "invoice": """
        select invoice_id as id, account_id as customer_id, 's_' || account_id as subscription_id,
               case when paid_at is null then 'payment_due' else 'paid' end as status, issued_at as date,
               due_at as due_date, paid_at, (amount * 100)::bigint as total, (amount * 100)::bigint as sub_total,
               'EUR' as currency_code from invoices""",
}
RECURLY = {
    "account_history": """
        select account_id as id, created_at, created_at as updated_at, account_id as code, name as company,
               country as account_country from accounts""",
    "subscription_history": """
        select 's_' || account_id as id, started_at as created_at, started_at as updated_at, started_at as activated_at,
               coalesce(notified_at, ended_at) as canceled_at, coalesce(ended_at, effective_at) as expires_at,
               account_id,
               'p1' as plan_id, case when ended_at is null then 'active' else 'expired' end as state,
               'USD' as currency, mrr as unit_amount, 1 as quantity,
               case when not voluntary then 'nonpayment' end as expiration_reason from ending""",
    "plan_history": "select 'p1' as id, 'Monthly' as name, 'months' as interval_unit, 1 as interval_length",
    "invoice_history": """
        select invoice_id as id, account_id, case when paid_at is null then 'past_due' else 'paid' end as state,
               issued_at as created_at, due_at, paid_at as closed_at, amount as total, 'USD' as currency
        from invoices""",
}
HUBSPOT = {
    "company": """
        select account_id as id, name as property_name, created_at as property_createdate,
               'customer' as property_lifecyclestage, industry as property_industry,
               employees as property_numberofemployees, country as property_country, owner as property_hubspot_owner_id
        from accounts""",
    "deal": """
        select subscription_id as deal_id, 'true' as property_hs_is_closed_won, started_at as property_closedate
        from subscriptions""",
    "deal_company": "select subscription_id as deal_id, account_id as company_id, 5 as type_id from subscriptions",
    "line_item": """
        select subscription_id as id, plan as property_name, mrr as property_hs_mrr,
               started_at as property_hs_recurring_billing_start_date,
               ended_at as property_hs_recurring_billing_end_date
        from subscriptions""",
    "line_item_deal": "select subscription_id as line_item_id, subscription_id as deal_id from subscriptions",
    "ticket": """
        select ticket_id as id, opened_at as property_createdate,
               first_response_at as property_first_agent_reply_date, resolved_at as property_closed_date,
               case severity when 'normal' then 'MEDIUM' else upper(severity) end as property_hs_ticket_priority,
               case kind when 'defect' then 'PRODUCT_ISSUE' when 'billing' then 'BILLING_ISSUE'
                    when 'request' then 'FEATURE_REQUEST' else 'GENERAL_INQUIRY' end as property_hs_ticket_category
        from tickets""",
    "ticket_company": "select ticket_id, account_id as company_id, 26 as type_id from tickets",
    "engagement": """
        select row_number() over () as id, "at" as timestamp,
               case kind when 'call' then 'CALL' when 'email' then 'EMAIL' else 'MEETING' end as type from touches""",
    "engagement_company": "select row_number() over () as engagement_id, account_id as company_id from touches",
}
SALESFORCE = {
    "Account": """
        select account_id as Id, name as Name, industry as Industry, country as BillingCountry,
               employees as NumberOfEmployees, owner as OwnerId, created_at as CreatedDate from accounts""",
    "Contract": """
        select subscription_id as Id, account_id as AccountId, started_at::date as StartDate,
               (ended_at - interval 1 day)::date as EndDate, term_months as ContractTerm, 'Activated' as Status,
               mrr as MRR__c from subscriptions""",
    "Case": """
        select ticket_id as Id, account_id as AccountId, opened_at as CreatedDate, resolved_at as ClosedDate,
               'Closed' as Status, case severity when 'normal' then 'Medium' when 'urgent' then 'Critical'
               else severity end as Priority, case kind when 'defect' then 'Problem' when 'how_to' then 'Question'
               when 'request' then 'Feature Request' else 'Other' end as Type, escalated as IsEscalated from tickets""",
    "Task": """
        select row_number() over () as Id, account_id as AccountId, 'Completed' as Status, "at" as CompletedDateTime,
               case kind when 'call' then 'Call' when 'email' then 'Email' else 'Meeting' end as Type,
               "by" as OwnerId from touches""",
}
ZENDESK = {
    "organizations": "select account_id as id, name, account_id as external_id, created_at from accounts",
    "tickets": """
        select ticket_id as id, account_id as organization_id, opened_at as created_at, severity as priority,
               case when resolved_at is null then 'open' else 'closed' end as status,
               case kind when 'defect' then 'problem' when 'how_to' then 'question' else 'task' end as type
        from tickets""",
    "ticket_metrics": """
        select ticket_id as id, ticket_id, resolved_at as solved_at, 0 as reopens,
               '{"calendar": ' || coalesce(date_diff('minute', opened_at, first_response_at)::varchar, 'null') || '}'
                   as reply_time_in_minutes from tickets""",
    "satisfaction_ratings": """
        select ticket_id as id, ticket_id, case when csat >= 4 then 'good' else 'bad' end as score,
               resolved_at as created_at, resolved_at as updated_at from tickets where csat is not null""",
}
INTERCOM = {
    "company_history": """
        select account_id || '-ic' as id, account_id as company_id, name, created_at, created_at as updated_at
        from accounts""",
    "contact_company_history": """
        select account_id || '-p' as contact_id, account_id || '-ic' as company_id from accounts""",
    "conversation_contact_history": """
        select ticket_id as conversation_id, account_id || '-p' as contact_id from tickets""",
    "conversation_history": """
        select ticket_id as id, opened_at as created_at, coalesce(resolved_at, opened_at) as updated_at,
               case when resolved_at is null then 'open' else 'closed' end as state,
               'customer_initiated' as source_delivered_as, csat as conversation_rating_value from tickets""",
    "conversation_part_history": """
        select ticket_id || '-1' as id, ticket_id as conversation_id, 'comment' as part_type, 'admin' as author_type,
               first_response_at as created_at from tickets where first_response_at is not null
        union all
        select ticket_id || '-2', ticket_id, 'close', 'admin', resolved_at
        from tickets where resolved_at is not null""",
}
SEGMENT = {
    "tracks": """
        select id, person as user_id, event, "at" as timestamp, "at" + interval 1 second as received_at,
               account_id as context_group_id from events""",
}
POSTHOG = {
    "events": """
        select id as uuid, event, '{"$groups": {"company": "' || account_id || '"}}' as properties,
               person as distinct_id, "at" as timestamp, "at" + interval 1 second as created_at from events""",
}
AMPLITUDE = {
    "event": """
        select id as uuid, event as event_type, '{"company": ["' || account_id || '"]}' as groups, person as user_id,
               "at" as event_time, "at" + interval 1 second as server_upload_time from events""",
}
DELIGHTED = {
    "survey_responses": """
        select row_number() over () as id, respondent_id as person, kind as survey_type,
               case kind when 'csat' then round(1 + (score - 1) / 1.5) else score end::int as score,
               epoch(answered_at)::bigint as created_at, '{"customer_id": "' || account_id || '"}' as person_properties
        from surveys where answered_at is not null""",
}
NPS = {
    "nps": """
        select account_id, respondent_id, sent_at, answered_at, score from surveys where kind = 'nps'""",
}
VITALLY = {
    "account": "select account_id || '-v' as id, account_id as external_id, name from accounts",
    "note": """
        select row_number() over () as id, account_id || '-v' as account_id, "at" as date, "at" as created_at,
               kind as subject from touches""",
}
SHAPES = {
    **{"stripe": STRIPE, "chargebee": CHARGEBEE, "recurly": RECURLY, "hubspot": HUBSPOT, "salesforce": SALESFORCE},
    **{"zendesk": ZENDESK, "intercom": INTERCOM, "segment": SEGMENT, "posthog": POSTHOG, "amplitude": AMPLITUDE},
    **{"delighted": DELIGHTED, "nps": NPS, "vitally": VITALLY},
}


def write_vendor_exports(company: Path, folder: Path, vendors: Sequence[str]) -> None:
    """Write a simulated company as exports of vendors, each into the folder of its name."""
    with duckdb.connect() as connection:
        for table in TABLES:
            files = quote_text(str(company / table / "*.parquet"))
            own_id = OWN_IDS.get(table)
            columns = f"* replace (account_id || '-' || {own_id} as {own_id})" if own_id else "*"
            connection.execute(f"create view {table} as select {columns} from read_parquet({files})")
        connection.execute(SHARED_VIEWS)
        for vendor in vendors:
            (folder / vendor).mkdir(parents=True, exist_ok=True)
            for name, query in SHAPES[vendor].items():
                file = quote_text(str(folder / vendor / f"{name}.csv"))
                connection.execute(f"copy ({query}) to {file} (header)")
