"""The profile of the columns of a source: all of them at once, each with its own values."""

import duckdb

from features.discovery.column_profile import profile_columns

ROWS = """create table crm as select * from (values
    ('7', '01.02.2024', 'Pro'), ('8', '9999-12-31', 'pro '), ('8', 'n/a', 'Pro'), (null, '13.02.2024', 'Free')
) t("id", "it's due", plan)"""


def test_each_column_has_the_counts_and_values_of_its_own_cells():
    with duckdb.connect() as connection:
        connection.execute(ROWS)
        profiles = profile_columns(connection, "crm", ["plan", "it's due", "id"])
    plan, due, number = profiles.values()
    assert [(profile.rows, profile.filled, profile.distinct) for profile in profiles.values()] == [
        (4, 4, 3),
        (4, 3, 3),
        (4, 3, 2),
    ]
    assert (plan.values, plan.spellings) == (("Pro", "Free", "pro "), {"pro ": "Pro"})
    assert (due.name, due.blanks, due.sentinels, due.date_orders) == (
        "it's due",
        ("n/a",),
        ("9999-12-31",),
        ("day_first",),
    )
    assert number.is_number and number.values == ("8", "7")


def test_a_source_without_rows_has_empty_profiles():
    with duckdb.connect() as connection:
        connection.execute("create table crm (id varchar)")
        (profile,) = profile_columns(connection, "crm", ["id"]).values()
    assert (profile.rows, profile.filled, profile.is_instant, profile.is_number) == (0, 0, False, False)
