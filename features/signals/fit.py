"""Fit: who the account is, and how it came."""

from features.signals.base import signal


@signal(kind="category")
def segment(accounts):
    """The segment the account is judged within."""
    return accounts.segment.max()


@signal(kind="category")
def industry(accounts):
    """The account's industry."""
    return accounts.industry.max()


@signal(kind="category")
def country(accounts):
    """Where the account is."""
    return accounts.country.max()


@signal(kind="category")
def channel(accounts):
    """How the account was won."""
    return accounts.channel.max()


@signal(unit="people")
def employees(accounts):
    """People who work at the account."""
    return accounts.employees.max()


@signal(unit="days")
def known_for(accounts):
    """Days since it became an account."""
    return accounts.age.max()


@signal(unit="share")
def seats_of_employees(seats, employees):
    """Seats paid for, as a share of the people who work there."""
    return seats / employees.nullif(0)


@signal(unit="0 or 1")
def belongs_to_parent(accounts):
    """1 where another account owns it, 0 where none does."""
    return accounts.parent_id.notnull().cast("float64").max()


@signal(unit="MRR per person")
def mrr_per_employee(mrr, employees):
    """Monthly recurring revenue for each person who works there."""
    return mrr / employees.nullif(0)


@signal(unit="days")
def days_to_first_subscription(known_for, tenure):
    """Days from becoming an account to its first subscription."""
    return known_for - tenure
