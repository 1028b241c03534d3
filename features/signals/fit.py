"""Fit: who the account is, and how it came."""

from features.signals.declaration import signal


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
