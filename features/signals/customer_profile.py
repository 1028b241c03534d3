"""Customer profile: what kind of company the account is, and how it was acquired."""

from features.signals.base import signal


@signal(kind="category")
def segment(accounts):
    """Segment of the account, such as small, mid or enterprise."""
    return accounts.segment.max()


@signal(kind="category")
def industry(accounts):
    """Industry of the account."""
    return accounts.industry.max()


@signal(kind="category")
def country(accounts):
    """Country of the account."""
    return accounts.country.max()


@signal(kind="category", label="acquisition channel")
def channel(accounts):
    """Channel through which the account was acquired."""
    return accounts.channel.max()


@signal(unit="people", text="{value} employees")
def employees(accounts):
    """Employees of the account."""
    return accounts.employees.max()


@signal(unit="days", label="account age (days)", text="account created {value} days ago")
def account_age(accounts):
    """Days since the account was created."""
    return accounts.age.max()


@signal(unit="share", label="seats as a share of employees")
def seats_per_employee(seats, employees):
    """Seats paid for, as a share of the account's employees."""
    return seats / employees.nullif(0)


@signal(unit="0 or 1")
def has_parent_account(accounts):
    """1 if the account belongs to a parent account, 0 if not."""
    return accounts.parent_id.notnull().cast("float64").max()


@signal(unit="MRR per employee")
def mrr_per_employee(mrr, employees):
    """MRR per employee of the account."""
    return mrr / employees.nullif(0)


@signal(unit="days", label="days from start to first subscription")
def days_to_first_subscription(account_age, tenure):
    """Days from account creation to the first subscription."""
    return account_age - tenure
