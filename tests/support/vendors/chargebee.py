"""A made-up export of Chargebee, small enough to compute its numbers by hand."""

CHARGEBEE = {
    "customer": """
id,company,billing_address_country,created_at,deleted
cb_a,Acme,DE,2024-01-10 08:00:00,false
cb_b,Beta,FR,2024-02-01 08:00:00,false
cb_c,Cobalt,US,2024-02-10 08:00:00,false
cb_d,Delta,US,2024-03-01 08:00:00,true
cb_e,Echo,US,2024-05-01 08:00:00,false
cb_f,Fox,US,2024-06-01 08:00:00,false
""",
    # a: a trial; b: cancelled at the end of the term; c1: not paid while c2 goes on; c3: in trial; e: will end;
    # f1: paused; f2: cancelled in the trial; g: of a customer that is not there. mrr is 0 once it is cancelled
    "subscription": """
id,customer_id,status,currency_code,billing_period,billing_period_unit,created_at,started_at,trial_start,trial_end,\
cancelled_at,cancel_schedule_created_at,cancel_reason,cancel_reason_code,current_term_end,mrr,deleted
s_a,cb_a,active,USD,1,month,2024-01-10,2024-01-10,2024-01-10,2024-01-24,,,,,2025-07-24,52500,false
s_b,cb_b,cancelled,USD,1,year,2024-02-01,2024-02-01,,,2025-03-01,2025-02-10,,Too expensive,2025-03-01,0,false
s_c1,cb_c,cancelled,USD,1,week,2024-02-10,2024-02-10,,,2024-11-15,,not_paid,,2024-11-17,0,false
s_c2,cb_c,active,USD,3,month,2024-11-01,2024-11-01,,,,,,,2025-08-01,10000,false
s_c3,cb_c,in_trial,USD,1,month,2025-06-20,2025-06-20,2025-06-20,2025-07-04,,,,,2025-07-04,0,false
s_e,cb_e,non_renewing,USD,1,month,2024-05-01,2024-05-01,,,2025-07-15,2025-06-20,,Missing features,2025-07-15,5000,false
s_f1,cb_f,paused,USD,1,month,2024-06-01,2024-06-01,,,,,,,2025-07-01,0,false
s_f2,cb_f,cancelled,USD,1,month,2025-01-01,2025-01-01,2025-01-01,2025-01-15,2025-01-10,,,,2025-01-15,0,false
s_g,cb_gone,active,USD,1,month,2024-06-01,2024-06-01,,,,,,,2025-07-01,4000,false
""",
    "subscription_item": """
subscription_id,item_price_id,item_type,quantity,unit_price,amount
s_a,pro-USD-Monthly,plan,10,5000,50000
s_a,seats-USD-Monthly,addon,1,2500,2500
s_a,setup-USD,charge,1,9900,9900
s_b,pro-USD-Yearly,plan,1,120000,120000
s_c1,mini-USD-Weekly,plan,1,700,700
s_c2,pro-USD-Quarterly,plan,1,30000,30000
s_c3,pro-USD-Monthly,plan,1,5000,5000
s_e,pro-USD-Monthly,plan,1,5000,5000
s_f1,pro-USD-Monthly,plan,1,5000,5000
s_f2,pro-USD-Monthly,plan,1,5000,5000
s_g,pro-USD-Monthly,plan,1,4000,4000
""",
    # i_1, i_2: of two amounts; i_3: voided; i_4: overdue; i_5: written off in part, not paid
    "invoice": """
id,customer_id,subscription_id,status,date,due_date,paid_at,total,sub_total,currency_code,deleted
i_1,cb_a,s_a,paid,2025-05-24 00:00:00,2025-05-24 00:00:00,2025-05-24 00:05:00,57120,48000,USD,false
i_2,cb_a,s_a,paid,2025-06-24 00:00:00,2025-06-24 00:00:00,2025-06-26 09:00:00,62475,52500,USD,false
i_3,cb_b,s_b,voided,2025-03-01 00:00:00,2025-03-15 00:00:00,,120000,120000,USD,false
i_4,cb_e,s_e,payment_due,2025-06-01 00:00:00,2025-06-15 00:00:00,,5000,5000,USD,false
i_5,cb_c,s_c1,not_paid,2024-11-08 00:00:00,2024-11-08 00:00:00,,700,700,USD,false
""",
}
