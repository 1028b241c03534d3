"""A made-up warehouse copy of HubSpot, small enough to compute its numbers by hand."""

HUBSPOT = {
    # 11 has 12 and 13 merged into it, and 13 had had 14; 15 is a prospect; 16 is deleted
    "company": """
id,is_deleted,property_name,property_createdate,property_lifecyclestage,property_hs_merged_object_ids,\
property_industry,property_numberofemployees,property_country,property_hubspot_owner_id,property_billing_id
11,false,Acme,2024-01-05 0:05:09,customer,12;13;14,Retail,400,Germany,71,cb_a
17,false,Beta,2024-02-01 10:00:00,other,,Finance,50,France,71,cb_b
18,false,Cobalt,2024-02-10 10:00:00,customer,,,,,72,cb_c
15,false,Prospect,2024-03-01 10:00:00,lead,,,,,,
16,true,Gone,2024-03-01 10:00:00,lead,,,,,,
""",
    # 101 and 102: a contract and its renewal; 103: open; 104: lost; 105: of two companies, 18 is primary
    "deal": """
deal_id,is_deleted,property_dealname,property_closedate,property_hs_is_closed_won,property_amount,\
property_deal_currency_code
101,false,Acme new,2024-01-10 09:00:00,true,12000,USD
102,false,Acme renewal,2025-01-08 09:00:00,true,14400,USD
103,false,Beta upsell,2025-08-01 09:00:00,false,5000,USD
104,false,Beta lost,2024-06-01 09:00:00,false,5000,USD
105,false,Cobalt,2024-03-01 09:00:00,true,3000,USD
106,false,Beta new,2024-02-05 09:00:00,true,2400,USD
""",
    "deal_company": """
deal_id,company_id,type_id
101,11,5
102,11,5
103,17,5
104,17,5
105,17,341
105,18,5
106,17,5
""",
    # 204 is paid once; 205 has no start of billing; 206 is of a lost deal
    "line_item": """
id,is_deleted,property_name,property_hs_mrr,property_hs_recurring_billing_start_date,\
property_hs_recurring_billing_end_date
201,false,Pro,1000,2024-01-15,2025-01-15
202,false,Pro,1200,2025-01-15,2026-01-15
203,false,Support,150,2025-01-15,2026-01-15
204,false,Training,0,2025-01-15,
205,false,Team,250,,
206,false,Pro,400,2024-07-01,2025-07-01
207,false,Team,200,2024-02-10,2025-02-10
""",
    "line_item_deal": """
line_item_id,deal_id
201,101
202,102
203,102
204,102
205,105
206,104
207,106
""",
    # 301: answered and closed; 302: of two companies, neither is primary; 303: of nobody; 304: deleted
    "ticket": """
id,is_deleted,property_subject,property_createdate,property_first_agent_reply_date,property_closed_date,\
property_hs_ticket_priority,property_hs_ticket_category
301,false,How,2025-03-01 10:00:00,2025-03-01 10:30:00,2025-03-02 10:00:00,MEDIUM,GENERAL_INQUIRY
302,false,Bug,2025-04-01 10:00:00,,,URGENT,PRODUCT_ISSUE
303,false,Bill,2025-05-01 10:00:00,,,,BILLING_ISSUE
304,true,Spam,2025-05-01 10:00:00,,,LOW,
""",
    "ticket_company": """
ticket_id,company_id,type_id
301,11,26
302,18,339
302,17,339
""",
    "engagement": """
id,is_deleted,type,timestamp
401,false,CALL,2025-02-01 10:00:00
402,false,INCOMING_EMAIL,2025-02-02 10:00:00
403,false,NOTE,2025-02-03 10:00:00
404,false,MEETING,2025-02-04 10:00:00
""",
    "engagement_company": """
engagement_id,company_id
401,11
402,11
403,11
404,17
404,18
""",
}
