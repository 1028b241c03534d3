"""A made-up data export of Salesforce, small enough to compute its numbers by hand."""

# 001C was merged into 001A; 001P is a prospect
SALESFORCE = {
    "Account": """
Id,IsDeleted,MasterRecordId,Name,Type,Industry,BillingCountry,NumberOfEmployees,OwnerId,ParentId,CreatedDate
001A,false,,Acme,Customer,Retail,Germany,400,005X,,2022-01-05T08:00:00.000+0000
001B,false,,Beta,Former,Finance,France,50,005X,001A,2022-02-01T08:00:00.000+0000
001C,true,001A,Acme Ltd,Customer,,,,005Y,,2022-03-01T08:00:00.000+0000
001P,false,,Prospect,Prospect,,,,005Y,,2023-03-01T08:00:00.000+0000
""",
    # 800a1 and 800a2: a contract and its renewal on the next day; 800b: ended; 800c: a draft; 800d: of nobody
    "Contract": """
Id,IsDeleted,AccountId,ContractNumber,StartDate,EndDate,ContractTerm,Status,ActivatedDate,MRR__c,Annual_Value__c
800a1,false,001A,00000101,2023-01-01,2023-12-31,12,Activated,2022-12-20T09:00:00.000+0000,1000,12000
800a2,false,001A,00000102,2024-01-01,2025-12-31,24,Activated,2023-12-20T09:00:00.000+0000,1250,15000
800b,false,001B,00000103,2023-03-01,2025-02-28,24,Expired,2023-02-20T09:00:00.000+0000,300,3600
800c,false,001P,00000104,2025-03-01,2026-02-28,12,Draft,,500,6000
800d,false,,00000105,2024-05-01,,,Activated,2024-05-01T09:00:00.000+0000,80,960
""",
    "Case": """
Id,IsDeleted,AccountId,CreatedDate,ClosedDate,IsClosed,Status,Priority,Type,IsEscalated
500a,false,001A,2025-03-01T10:00:00.000+0000,2025-03-02T10:00:00.000+0000,true,Closed,Medium,Question,false
500b,false,001B,2025-01-10T10:00:00.000+0000,,false,Escalated,Critical,Problem,true
500c,false,,2025-04-01T10:00:00.000+0000,,false,New,Low,,false
500d,true,001A,2025-04-02T10:00:00.000+0000,,false,New,Low,,false
""",
    # 00Td is a to-do, 00Te is not completed, ActivityDate is when it is due
    "Task": """
Id,IsDeleted,AccountId,Subject,Type,TaskSubtype,Status,ActivityDate,CompletedDateTime,CreatedDate,OwnerId
00Ta,false,001A,Call,Call,Task,Completed,2025-02-01,2025-02-01T15:00:00.000+0000,2025-01-20T10:00:00.000+0000,005X
00Tb,false,001A,Re: terms,,Email,Completed,2025-02-02,2025-02-02T15:00:00.000+0000,2025-02-02T15:00:00.000+0000,005X
00Tc,false,001B,Review,Meeting,Task,Completed,2025-01-03,2025-01-04T15:00:00.000+0000,2025-01-03T15:00:00.000+0000,005X
00Td,false,001B,Send book,Other,Task,Completed,2025-01-03,2025-01-04T15:00:00.000+0000,2025-01-03T15:00:00.000+0000,005X
00Te,false,001A,Call again,Call,Call,Not Started,2026-01-03,,2025-06-03T15:00:00.000+0000,005X
""",
}

# The same contracts as a company that writes its dates month first exports them; every day of the month is below 13.
MONTH_FIRST = {
    "Account": """
Id,Name,CreatedDate
001A,Acme,1/5/2022
001B,Beta,2/1/2022
""",
    "Contract": """
Id,AccountId,StartDate,EndDate,ContractTerm,Status,MRR__c
800a,001A,6/1/2022,,12,Activated,100
800b,001B,3/1/2022,6/1/2023,15,Expired,50
""",
}
