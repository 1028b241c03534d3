"""Relationship: whom the account's side consists of, who came and who left."""

from features.signals.base import signal


@signal(unit="people", empty=0, actionable=True)
def contacts_known(contacts):
    """Contacts at the account now."""
    return contacts.count(where=contacts.left_at.isnull())


@signal(unit="roles", empty=0, actionable=True)
def roles_covered(contacts):
    """Different roles (champion, sponsor, exec, admin, user) that the contacts have now."""
    return contacts.role.nunique(where=contacts.left_at.isnull())


@signal(unit="people", empty=0, actionable=True)
def champions(contacts):
    """Champions at the account now."""
    return contacts.count(where=contacts.left_at.isnull() & (contacts.role == "champion"))


@signal(unit="people", empty=0, actionable=True)
def sponsors(contacts):
    """Sponsors at the account now."""
    return contacts.count(where=contacts.left_at.isnull() & (contacts.role == "sponsor"))


@signal(unit="people", empty=0, actionable=True)
def executives(contacts):
    """Executives among the contacts now."""
    return contacts.count(where=contacts.left_at.isnull() & (contacts.role == "exec"))


@signal(unit="people", empty=0, actionable=True)
def admins(contacts):
    """Administrators among the contacts now."""
    return contacts.count(where=contacts.left_at.isnull() & (contacts.role == "admin"))


@signal(unit="days")
def champion_tenure(contacts):
    """Days since the longest-standing champion who is still there joined."""
    return contacts.age.max(where=contacts.left_at.isnull() & (contacts.role == "champion"))


@signal(unit="people", days=(91, 182), empty=0, actionable=True, direction=1)
def champions_left(contacts, days):
    """Champions who left in the last {days} days."""
    return contacts.count(where=(contacts.role == "champion") & (contacts.left_at_age <= days))


@signal(unit="days", actionable=True)
def days_since_champion_left(contacts):
    """Days since the last departure of a champion."""
    return contacts.left_at_age.min(where=contacts.role == "champion")


@signal(unit="0 or 1", empty=0, actionable=True)
def champion_missing(contacts):
    """1 where every champion there ever was has left, 0 where one is there or none ever was."""
    champion = contacts.role == "champion"
    there = contacts.count(where=champion & contacts.left_at.isnull())
    return ((contacts.count(where=champion) > 0) & (there == 0)).cast("float64")


@signal(unit="people", days=(182,), empty=0, actionable=True)
def decision_makers_left(contacts, days):
    """Sponsors and executives who left in the last {days} days."""
    return contacts.count(where=contacts.role.isin(["sponsor", "exec"]) & (contacts.left_at_age <= days))


@signal(unit="people", days=(182,), empty=0)
def executives_joined(contacts, days):
    """Executives who became known in the last {days} days and are still there: they review what they find."""
    return contacts.count(
        where=(contacts.role == "exec") & (contacts.joined_at_age <= days) & contacts.left_at.isnull()
    )


@signal(unit="people", days=(91, 182), empty=0)
def contacts_joined(contacts, days):
    """Contacts who became known in the last {days} days."""
    return contacts.count(where=contacts.joined_at_age <= days)


@signal(unit="people", days=(91, 182), empty=0)
def contacts_left(contacts, days):
    """Contacts who left in the last {days} days."""
    return contacts.count(where=contacts.left_at_age <= days)


@signal(unit="x", days=(182,))
def contacts_change(contacts, days):
    """Contacts at the account now, relative to {days} days ago."""
    then = (contacts.joined_at_age > days) & (contacts.left_at.isnull() | (contacts.left_at_age <= days))
    return contacts.count(where=contacts.left_at.isnull()) / contacts.count(where=then).nullif(0)


@signal(unit="share", days=(182,))
def contact_turnover(contacts, days):
    """Share of the contacts of {days} days ago who have left since."""
    then = (contacts.joined_at_age > days) & (contacts.left_at.isnull() | (contacts.left_at_age <= days))
    return contacts.count(where=then & contacts.left_at.notnull()) / contacts.count(where=then).nullif(0)


@signal(unit="days")
def contact_tenure(contacts):
    """Mean days since the contacts who are there now joined."""
    return contacts.age.mean(where=contacts.left_at.isnull())


@signal(unit="people", days=(182,), empty=0, actionable=True)
def account_team(touches, days):
    """Different people on our side who were in touch in the last {days} days: more than one can mean a new owner."""
    return touches.by.nunique(where=touches.age <= days)
