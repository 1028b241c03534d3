"""A made-up warehouse copy of Recurly, small enough to compute its numbers by hand."""

RECURLY = {
    # r1 has two versions, of which the second counts
    "account_history": """
id,created_at,updated_at,code,state,company,account_country
r1,2024-01-02 10:00:00,2024-01-02 10:00:00,acme,active,Acme,DE
r1,2024-01-02 10:00:00,2025-03-02 10:00:00,acme,active,Acme Group,DE
r2,2024-01-03 10:00:00,2024-01-03 10:00:00,beta,closed,Beta,FR
r3,2024-01-04 10:00:00,2024-01-04 10:00:00,cobalt,active,Cobalt,US
""",
    # s1: a price change; s2: cancelled, then expired; s3: not paid; s4: a trial that ended; s5: of the future
    "subscription_history": """
id,created_at,updated_at,activated_at,canceled_at,expires_at,account_id,plan_id,state,currency,unit_amount,quantity,\
add_ons_total,trial_started_at,trial_ends_at,expiration_reason
s1,2024-01-03,2024-01-03 10:00:00,2024-01-03,,,r1,p12,active,USD,960.0,1,0,,,
s1,2024-01-03,2025-01-03 10:00:00,2024-01-03,,,r1,p12,active,USD,1200.0,2,600,,,
s2,2024-01-10,2025-02-01 10:00:00,2024-01-10,2025-01-15,2025-02-10,r2,p1,expired,USD,99.0,1,0,2024-01-10,2024-01-24,\
canceled
s3,2024-02-01,2025-04-10 10:00:00,2024-02-01,2025-04-01,2025-04-10,r3,p30,expired,USD,60.0,1,0,,,nonpayment
s4,2024-01-04,2024-01-18 10:00:00,2024-01-04,2024-01-10,2024-01-18,r3,p1,expired,USD,99.0,1,0,2024-01-04,2024-01-18,\
canceled
s5,2025-06-20,2025-06-20 10:00:00,,,,r3,p1,future,USD,99.0,1,0,,,
""",
    "plan_history": """
id,updated_at,code,name,interval_unit,interval_length
p1,2024-01-01,monthly,Monthly,months,1
p12,2024-01-01,yearly,Yearly,months,12
p30,2024-01-01,thirty,30 days,days,30
""",
    # i3 is an open credit of 40; i4 is voided; i5 failed; i6 is past due
    "invoice_history": """
id,created_at,updated_at,due_at,closed_at,account_id,type,state,currency,total,subtotal
i1,2024-01-03 09:00:00,2024-01-04,2024-01-18 09:00:00,2024-01-10 09:00:00,r1,charge,paid,USD,960.0,960.0
i3,2025-02-05 09:00:00,2025-02-05,2025-02-20 09:00:00,,r1,credit,open,USD,-40.0,-40.0
i4,2025-02-05 09:00:00,2025-02-06,2025-02-20 09:00:00,2025-02-06 09:00:00,r2,charge,voided,USD,99.0,99.0
i5,2025-03-05 09:00:00,2025-04-10,2025-03-20 09:00:00,2025-04-10 09:00:00,r3,charge,failed,USD,60.0,60.0
i6,2025-06-05 09:00:00,2025-06-05,2025-06-20 09:00:00,,r1,charge,past_due,USD,99.0,99.0
""",
}
