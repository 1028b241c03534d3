"""Made-up exports of tools for support, product usage, surveys and customer success, for the accounts of Chargebee."""

INTERCOM = {
    # Acme was renamed; Umbra has no company_id
    "company_history": """
id,company_id,name,created_at,updated_at
ic1,cb_a,Acme,2024-01-11 08:00:00,2024-01-11 08:00:00
ic1,cb_a,Acme Group,2024-01-11 08:00:00,2025-01-11 08:00:00
ic2,cb_b,Beta,2024-02-01 08:00:00,2024-02-01 08:00:00
ic3,,Umbra,2024-02-01 08:00:00,2024-02-01 08:00:00
""",
    "contact_company_history": """
contact_id,company_id
p1,ic1
p1,ic2
p2,ic2
p3,ic3
""",
    "conversation_contact_history": """
conversation_id,contact_id
1,p1
2,p2
3,p1
4,p3
""",
    # 1: closed after two versions; 2: reopened; 3: begun by a series; 4: of a company without an account
    "conversation_history": """
id,created_at,updated_at,state,source_delivered_as,conversation_rating_value
1,2025-03-01 10:00:00,2025-03-01 10:00:00,open,customer_initiated,
1,2025-03-01 10:00:00,2025-03-02 10:00:00,closed,customer_initiated,4
2,2025-04-01 10:00:00,2025-04-03 10:00:00,open,customer_initiated,
3,2025-04-05 10:00:00,2025-04-05 10:00:00,closed,automated,
4,2025-04-06 10:00:00,2025-04-06 10:00:00,open,customer_initiated,
""",
    "conversation_part_history": """
id,conversation_id,part_type,author_type,created_at
11,1,comment,bot,2025-03-01 10:00:05
12,1,comment,admin,2025-03-01 10:30:00
13,1,comment,user,2025-03-01 11:00:00
14,1,close,admin,2025-03-02 10:00:00
21,2,comment,admin,2025-04-01 12:00:00
22,2,close,admin,2025-04-02 10:00:00
23,2,open,user,2025-04-03 10:00:00
""",
}

POSTHOG = {
    # e2 is sent twice; e3 is a visitor; e4 is of no account; e5 came a day late; e6 is PostHog's own
    "events": """
uuid,event,properties,distinct_id,timestamp,created_at
e1,report_exported,"{""$groups"": {""company"": ""cb_a""}}",u1,2025-05-01T10:00:00Z,2025-05-01T10:00:01Z
e2,$pageview,"{""$groups"": {""company"": ""cb_a""}}",u1,2025-05-02T10:00:00Z,2025-05-02T10:00:01Z
e2,$pageview,"{""$groups"": {""company"": ""cb_a""}}",u1,2025-05-02T10:00:00Z,2025-05-02T10:05:00Z
e3,$pageview,{},x1,2025-05-02T10:00:00Z,2025-05-02T10:00:01Z
e4,report_exported,"{""$groups"": {""company"": ""cb_zz""}}",u9,2025-05-03T10:00:00Z,2025-05-03T10:00:01Z
e5,report_opened,"{""$groups"": {""company"": ""cb_b"", ""team"": 1}}",u2,2025-05-03T10:00:00Z,2025-05-04T10:00:00Z
e6,$groupidentify,"{""$groups"": {""company"": ""cb_a""}}",u1,2025-05-04T10:00:00Z,2025-05-04T10:00:01Z
""",
}

AMPLITUDE = {
    # the same, with a list of groups and a single one
    "event": """
uuid,event_type,groups,user_id,device_id,event_time,server_upload_time
e1,report_exported,"{""company"": [""cb_a""]}",u1,d1,2025-05-01 10:00:00.000,2025-05-01 10:00:01.000
e2,page_viewed,"{""company"": ""cb_a""}",u1,d1,2025-05-02 10:00:00.000,2025-05-02 10:00:01.000
e2,page_viewed,"{""company"": ""cb_a""}",u1,d1,2025-05-02 10:00:00.000,2025-05-02 10:05:00.000
e3,page_viewed,{},,d2,2025-05-02 10:00:00.000,2025-05-02 10:00:01.000
e4,report_exported,"{""company"": [""cb_zz""]}",u9,d9,2025-05-03 10:00:00.000,2025-05-03 10:00:01.000
e5,report_opened,"{""company"": [""cb_b"", ""cb_c""]}",,d3,2025-05-03 10:00:00.000,2025-05-04 10:00:00.000
e6,session_start,"{""company"": [""cb_a""]}",u1,d1,2025-05-04 10:00:00.000,2025-05-04 10:00:01.000
""",
}

DELIGHTED = {
    # 1713418460 is 2024-04-18 05:34:20; 3 has no property; 4 is of another kind
    "survey_responses": """
id,person,survey_type,score,comment,created_at,person_properties
1,10,nps,9,,1713418460,"{""customer_id"": ""cb_a"", ""plan"": ""pro""}"
2,11,csat,5,,1713418461,"{""customer_id"": ""cb_b""}"
3,12,nps,3,,1713418462,{}
4,13,smileys,4,,1713418463,"{""customer_id"": ""cb_b""}"
""",
}

NPS = {
    # two anonymous answers of one survey, and one survey that nobody answered
    "nps": """
account_id,score,sent_at,answered_at
cb_a,9,2025-05-01 09:00:00,2025-05-01 10:00:00
cb_a,2,2025-05-01 09:00:00,2025-05-01 10:00:00
cb_b,,2025-05-01 09:00:00,
""",
}

VITALLY = {
    "account": """
id,external_id,name,mrr,health_score,churned_at
v1,cb_a,Acme,525,8.1,
v2,cb_b,Beta,0,3.2,2025-03-01
v3,cb_zz,Zeta,10,5.0,
""",
    "note": """
id,account_id,date,created_at,note_category_name,subject,archived_at
n1,v1,2025-02-01 10:00:00,2025-02-01 11:00:00,QBR,Quarterly,
n2,v1,2025-02-02 10:00:00,2025-02-02 11:00:00,,Call about renewal,
n3,v2,2025-02-03 10:00:00,2025-02-03 11:00:00,,Kickoff,
n4,v2,2025-02-04 10:00:00,2025-02-04 11:00:00,Email,,2025-02-05
n5,v3,2025-02-05 10:00:00,2025-02-05 11:00:00,Training,,
""",
    "user": """
id,account_id,name
w1,v1,Ann
w2,v2,Bo
""",
    "nps_response": """
id,user_id,score,responded_at
q1,w1,10,2025-01-05 10:00:00
q2,w2,4,2025-01-06 10:00:00
""",
}
