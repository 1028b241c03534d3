"""Relationship: who the contacts at the account are, who joined and who left."""

from features.signals.base import signal


@signal(
    unit="people",
    empty=0,
    actionable=True,
    moves="contacts {moved} from {before} to {now} in 182 days",
    past=("current_contacts", "contacts_change_182d"),
)
def current_contacts(contacts):
    """Contacts at the account now."""
    return contacts.count(where=contacts.left_at.isnull())


@signal(unit="roles", empty=0, actionable=True, label="contact roles covered")
def roles_covered(contacts):
    """Distinct roles (champion, sponsor, exec, admin, user) that the current contacts hold."""
    return contacts.role.nunique(where=contacts.left_at.isnull())


@signal(unit="people", empty=0, actionable=True, text="{value} champions")
def champions(contacts):
    """Champions among the current contacts."""
    return contacts.count(where=contacts.left_at.isnull() & (contacts.role == "champion"))


@signal(unit="people", empty=0, actionable=True, text="{value} sponsors")
def sponsors(contacts):
    """Sponsors among the current contacts."""
    return contacts.count(where=contacts.left_at.isnull() & (contacts.role == "sponsor"))


@signal(unit="people", empty=0, actionable=True, text="{value} executives")
def executives(contacts):
    """Executives among the current contacts."""
    return contacts.count(where=contacts.left_at.isnull() & (contacts.role == "exec"))


@signal(unit="people", empty=0, actionable=True, label="administrators")
def admins(contacts):
    """Administrators among the current contacts."""
    return contacts.count(where=contacts.left_at.isnull() & (contacts.role == "admin"))


@signal(unit="days", label="tenure of the longest-serving champion (days)", absent="no champion is known")
def champion_tenure(contacts):
    """Days since the longest-serving current champion joined."""
    return contacts.age.max(where=contacts.left_at.isnull() & (contacts.role == "champion"))


@signal(
    unit="people", days=(91, 182), empty=0, actionable=True, direction=1, label="champions who left, last {days} days"
)
def champions_left(contacts, days):
    """Champions who left in the last {days} days."""
    return contacts.count(where=(contacts.role == "champion") & (contacts.left_at_age <= days))


@signal(
    unit="days",
    actionable=True,
    label="days since a champion left",
    text="a champion left {value} days ago",
    absent="no champion is known to have left",
)
def days_since_champion_left(contacts):
    """Days since a champion last left."""
    return contacts.left_at_age.min(where=contacts.role == "champion")


@signal(unit="0 or 1", empty=0, actionable=True, label="all champions have left")
def all_champions_left(contacts):
    """1 if every champion the account ever had has left, 0 if one is still there or there never was one."""
    champion = contacts.role == "champion"
    current = contacts.count(where=champion & contacts.left_at.isnull())
    return ((contacts.count(where=champion) > 0) & (current == 0)).cast("float64")


@signal(unit="people", days=(182,), empty=0, actionable=True, label="decision makers who left, last {days} days")
def decision_makers_left(contacts, days):
    """Sponsors and executives who left in the last {days} days."""
    return contacts.count(where=contacts.role.isin(["sponsor", "exec"]) & (contacts.left_at_age <= days))


@signal(unit="people", days=(182,), empty=0, label="executives who joined, last {days} days")
def executives_joined(contacts, days):
    """Executives who joined in the last {days} days and are still there."""
    return contacts.count(
        where=(contacts.role == "exec") & (contacts.joined_at_age <= days) & contacts.left_at.isnull()
    )


@signal(unit="people", days=(91, 182), empty=0, label="contacts who joined, last {days} days")
def contacts_joined(contacts, days):
    """Contacts who joined in the last {days} days."""
    return contacts.count(where=contacts.joined_at_age <= days)


@signal(unit="people", days=(91, 182), empty=0, label="contacts who left, last {days} days")
def contacts_left(contacts, days):
    """Contacts who left in the last {days} days."""
    return contacts.count(where=contacts.left_at_age <= days)


@signal(
    unit="x",
    days=(182,),
    label="contacts vs. {days} days ago",
    moves="contacts {moved} from {before} to {now} in {days} days",
    past=("current_contacts", "contacts_change_{days}d"),
)
def contacts_change(contacts, days):
    """Contacts at the account now, divided by the contacts {days} days ago."""
    earlier = (contacts.joined_at_age > days) & (contacts.left_at.isnull() | (contacts.left_at_age <= days))
    return contacts.count(where=contacts.left_at.isnull()) / contacts.count(where=earlier).nullif(0)


@signal(unit="share", days=(182,), label="share of contacts who left, last {days} days")
def contacts_left_share(contacts, days):
    """Share of the contacts of {days} days ago who have left since."""
    earlier = (contacts.joined_at_age > days) & (contacts.left_at.isnull() | (contacts.left_at_age <= days))
    return contacts.count(where=earlier & contacts.left_at.notnull()) / contacts.count(where=earlier).nullif(0)


@signal(unit="days", label="average contact tenure (days)", absent="no contact is known")
def contact_tenure(contacts):
    """Average days since the current contacts joined."""
    return contacts.age.mean(where=contacts.left_at.isnull())


@signal(unit="people", days=(182,), empty=0, actionable=True, label="people on our team in touch, last {days} days")
def team_members_in_touch(touches, days):
    """Distinct people on our team who contacted the account in the last {days} days."""
    return touches.by.nunique(where=touches.age <= days)
