"""A made-up warehouse copy of Stripe, in which subscriptions are a history, small enough to compute by hand."""

STRIPE_WAREHOUSE = {
    # t is of the test mode, d is deleted
    "customer": """
id,name,address_country,created,livemode,is_deleted
cus_a,Acme,DE,2024-01-10 08:00:00,TRUE,FALSE
cus_b,Beta,FR,2024-02-01 08:00:00,TRUE,FALSE
cus_t,Test,FR,2024-02-01 08:00:00,FALSE,FALSE
cus_d,Gone,FR,2024-02-01 08:00:00,TRUE,TRUE
""",
    # a has two versions, of which the second is active; current_period_end moves at each renewal
    "subscription_history": """
id,_fivetran_active,customer_id,status,created,start_date,trial_start,trial_end,canceled_at,cancel_at,ended_at,\
current_period_end
sub_a,FALSE,cus_a,trialing,2024-01-10,2024-01-10,2024-01-10,2024-01-24,,,,2024-01-24
sub_a,TRUE,cus_a,active,2024-01-10,2024-01-10,2024-01-10,2024-01-24,,,,2025-07-24
sub_b,TRUE,cus_b,canceled,2024-02-01,2024-02-01,,,2025-02-10,,2025-03-01,2025-03-01
""",
    "subscription_item": """
id,subscription_id,plan_id,quantity,created
si_a,sub_a,price_q,2,2024-01-10
si_b,sub_b,price_y,1,2024-02-01
""",
    "price": """
id,unit_amount,currency,recurring_interval,recurring_interval_count,nickname
price_q,13500,usd,month,3,Team quarterly
price_y,47000,usd,year,1,Team yearly
""",
}
