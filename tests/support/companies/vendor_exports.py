"""Made-up exports of vendors, small enough to compute their numbers by hand."""

from pathlib import Path

from tests.support.vendors.chargebee import CHARGEBEE
from tests.support.vendors.engagement import AMPLITUDE, DELIGHTED, INTERCOM, NPS, POSTHOG, VITALLY
from tests.support.vendors.hubspot import HUBSPOT
from tests.support.vendors.recurly import RECURLY
from tests.support.vendors.salesforce import SALESFORCE

STRIPE = {
    "customers": """
id,name,address_country,created,metadata_account_id
cus_a,Acme,DE,2024-01-10 08:00:00,A1
cus_b,Beta,FR,2024-02-01 08:00:00,B2
cus_c,Cobalt,US,2024-02-10 08:00:00,C3
cus_d,Delta,US,2025-01-01 08:00:00,D4
cus_e,Echo,US,2024-05-01 08:00:00,E5
cus_f,Fox,US,2024-06-01 08:00:00,F6
cus_h,Hertz,US,2024-07-01 08:00:00,H7
""",
    # a: a trial; b: cancelled at the end of the period; c1: payment failed while c2 goes on; d1: cancelled in
    # the trial; d2: in trial; e1: first payment failed; e2: a free month later; f: collection paused, and a
    # cancellation announced
    "subscriptions": """
id,customer_id,status,created,start_date,trial_start,trial_end,canceled_at,cancel_at,cancel_at_period_end,ended_at,\
current_period_end,cancellation_details_reason,pause_collection_behavior
sub_a,cus_a,active,2024-01-10,2024-01-10,2024-01-10,2024-01-24,,,false,,2026-01-24,,
sub_b,cus_b,canceled,2024-02-01,2024-02-01,,,2025-02-10,2025-03-01,true,2025-03-01,2025-03-01,cancellation_requested,
sub_c1,cus_c,canceled,2024-02-10,2024-02-10,,,2024-11-15,,false,2024-11-15,2024-11-17,payment_failed,
sub_c2,cus_c,active,2024-11-01,2024-11-01,,,,,false,,2025-08-01,,
sub_d1,cus_d,canceled,2025-01-01,2025-01-01,2025-01-01,2025-01-15,2025-01-10,,false,2025-01-10,2025-01-15,,
sub_d2,cus_d,trialing,2025-06-20,2025-06-20,2025-06-20,2025-07-04,,,false,,2025-07-04,,
sub_e1,cus_e,incomplete_expired,2024-05-01,2024-05-01,,,,,false,2024-05-02,2024-06-01,,
sub_e2,cus_e,active,2024-05-01,2024-05-01,2024-09-01,2024-10-01,,,false,,2025-07-01,,
sub_f,cus_f,active,2024-06-01,2024-06-01,,,2025-06-20,2025-07-15,true,,2025-07-15,cancellation_requested,void
sub_g,cus_gone,active,2024-06-01,2024-06-01,,,,,false,,2025-07-01,,
sub_h,cus_h,active,2024-07-01,2024-07-01,,,,,false,,2025-07-01,,
""",
    "subscription_items": """
id,subscription_id,price_id,quantity,created
si_a1,sub_a,price_year,2,2024-01-10
si_a2,sub_a,price_addon,3,2024-06-01
si_b,sub_b,price_month,1,2024-02-01
si_c1,sub_c1,price_week,1,2024-02-10
si_c2,sub_c2,price_quarter,1,2024-11-01
si_d1,sub_d1,price_month,1,2025-01-01
si_d2,sub_d2,price_month,1,2025-06-20
si_e1,sub_e1,price_month,1,2024-05-01
si_e2,sub_e2,price_fraction,10,2024-05-01
si_e3,sub_e2,price_metered,,2024-05-01
si_f,sub_f,price_month,,2024-06-01
si_g,sub_g,price_month,1,2024-06-01
si_h,sub_h,price_tiers,40,2024-07-01
""",
    "prices": """
id,product_id,nickname,currency,unit_amount,unit_amount_decimal,billing_scheme,recurring_interval,\
recurring_interval_count,recurring_usage_type
price_year,prod_1,Pro yearly,usd,120000,120000,per_unit,year,1,licensed
price_addon,prod_2,,usd,1500,1500,per_unit,month,1,licensed
price_month,prod_1,Pro,usd,5000,5000,per_unit,month,1,licensed
price_week,prod_3,,usd,700,700,per_unit,week,1,licensed
price_quarter,prod_1,,usd,30000,30000,per_unit,month,3,licensed
price_fraction,prod_4,,usd,,1250.5,per_unit,month,1,licensed
price_metered,prod_5,,usd,2,2,per_unit,month,1,metered
price_tiers,prod_6,,usd,,,tiered,month,1,licensed
""",
    # in_1 and in_2: renewals at two prices; in_3: a draft; in_4: void; in_5: overdue, with a coupon; in_6: nobody's
    "invoices": """
id,customer_id,subscription_id,status,billing_reason,currency,subtotal,total,created,due_date,\
status_transitions_finalized_at,status_transitions_paid_at
in_1,cus_b,sub_b,paid,subscription_cycle,usd,4000,4760,2025-01-01 00:00:00,,2025-01-01 01:00:00,2025-01-01 01:05:00
in_2,cus_b,sub_b,paid,subscription_cycle,usd,5000,5950,2025-02-01 00:00:00,,2025-02-01 01:00:00,2025-02-03 09:00:00
in_3,cus_a,sub_a,draft,subscription_cycle,usd,4500,4500,2025-06-24 00:00:00,,,
in_4,cus_c,sub_c1,void,subscription_cycle,usd,700,700,2024-11-08 00:00:00,,2024-11-08 01:00:00,
in_5,cus_f,sub_f,open,subscription_cycle,usd,5000,4000,2025-06-01 00:00:00,2025-06-10 00:00:00,2025-06-01 01:00:00,
in_6,cus_gone,sub_g,paid,subscription_cycle,usd,5000,5000,2025-06-01 00:00:00,,2025-06-01 01:00:00,2025-06-01 01:05:00
""",
}

ZENDESK = {
    "organizations": """
id,name,external_id,created_at
901,Acme,cus_a,2024-01-11T08:00:00Z
902,Umbra,,2024-02-01T08:00:00Z
903,Zeta,cus_zz,2024-03-01T08:00:00Z
""",
    # 1: answered and rated twice; 2: reopened; 3: merged into 1; 4: deleted; 5: nobody's; 6 and 7: of no account
    "tickets": """
id,organization_id,created_at,status,priority,type,tags
1,901,2025-03-01T10:00:00Z,closed,high,question,[]
2,901,2025-04-01T10:00:00Z,open,normal,incident,[]
3,901,2025-03-01T11:00:00Z,closed,,question,"[""closed_by_merge""]"
4,901,2025-03-05T11:00:00Z,deleted,low,,[]
5,,2025-05-01T11:00:00Z,open,,,[]
6,902,2025-05-02T11:00:00Z,open,urgent,task,[]
7,903,2025-05-03T11:00:00Z,solved,low,problem,[]
""",
    "ticket_metrics": """
id,ticket_id,solved_at,reopens,reply_time_in_minutes
11,1,2025-03-02T10:00:00Z,0,"{""calendar"": 30, ""business"": 5}"
12,2,2025-04-03T10:00:00Z,1,"{""calendar"": null, ""business"": null}"
17,7,2025-05-04T11:00:00Z,0,"{""calendar"": 1500, ""business"": 300}"
""",
    "satisfaction_ratings": """
id,ticket_id,score,created_at,updated_at
21,1,bad,2025-03-02T11:00:00Z,2025-03-03T10:00:00Z
22,1,good,2025-03-03T11:00:00Z,2025-03-04T10:00:00Z
23,7,offered,2025-05-04T12:00:00Z,2025-05-04T12:00:00Z
""",
}

SEGMENT = {
    # m2 is sent twice; m3 is a visitor; m4 is of no account; m5 came a day late
    "tracks": """
id,user_id,anonymous_id,event,timestamp,received_at,context_group_id
m1,u1,x1,report_exported,2025-05-01T10:00:00Z,2025-05-01T10:00:01Z,cus_a
m2,u1,x1,report_exported,2025-05-02T10:00:00Z,2025-05-02T10:00:01Z,cus_a
m2,u1,x1,report_exported,2025-05-02T10:00:00Z,2025-05-02T10:05:00Z,cus_a
m3,,x2,page_seen,2025-05-02T10:00:00Z,2025-05-02T10:00:01Z,
m4,u9,x9,report_exported,2025-05-03T10:00:00Z,2025-05-03T10:00:01Z,cus_zz
m5,,x3,report_opened,2025-05-03T10:00:00Z,2025-05-04T10:00:00Z,cus_b
""",
}
EXPORTS = {
    **{"stripe": STRIPE, "zendesk": ZENDESK, "segment": SEGMENT, "chargebee": CHARGEBEE, "hubspot": HUBSPOT},
    **{"salesforce": SALESFORCE, "recurly": RECURLY, "intercom": INTERCOM, "posthog": POSTHOG, "amplitude": AMPLITUDE},
    **{"delighted": DELIGHTED, "nps": NPS, "vitally": VITALLY},
}


def write_exports(folder: Path, *vendors: str) -> None:
    """Write the exports of vendors, each into the folder of its name."""
    for vendor in vendors:
        (folder / vendor).mkdir(parents=True, exist_ok=True)
        for name, text in EXPORTS[vendor].items():
            (folder / vendor / f"{name}.csv").write_text(text.lstrip(), "utf-8")
