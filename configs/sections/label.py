"""What counts as churn."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from configs.sections.section import Days, Section
from configs.values.calendar_months import mean_days, shortest_days

Months = Annotated[int, Field(ge=1, le=36)]
AT_RISK = ("trials_at_risk", "pauses_at_risk", "pause_is_departure", "free_plans_at_risk")
LabelMode = Literal["contract", "inactivity", "event", "contraction", "query"]


class LabelSettings(Section):
    """What counts as churn.

    - `contract`: no subscription from a day in the horizon on, and none again within the grace.
    - `event`: a notice given in the horizon.
    - `inactivity`: `inactive_days` without usage inside the horizon, of accounts active within `active_within_days`.
    - `contraction`: recurring revenue down by `contraction_share` or more, but not to zero.
    - `query`: what the SQL in `query` answers.
    """

    mode: LabelMode = "contract"
    """What leaving means."""
    lead_days: Days = 0
    """Days between the snapshot and the start of the horizon."""
    horizon_days: Annotated[int, Field(ge=1)] = 90
    """The main horizon: what a model is fitted and evaluated on."""
    horizons: tuple[Annotated[int, Field(ge=1)], ...] = (30, 90, 180)
    """Further horizons that risks are given for."""
    horizon_months: Months | None = None
    """The main horizon in calendar months, in place of `horizon_days`: it ends on the same day of a later month.

    `horizon_days` and `horizons` are months of mean length then, rounded: 30, 61 and 91 days for one to three.
    """
    horizons_months: tuple[Months, ...] = (1, 3, 6)
    """Further horizons, in calendar months, if `horizon_months` is set."""
    grace_days: Days = 30
    """Mode contract: an account that comes back within these days did not leave."""
    joins_within_hours: Annotated[int, Field(ge=0)] = 24
    """A subscription that begins so soon after another one of the account ends continues it.

    This joins periods that end at 23:59:59 or on their last day, for the accounts at risk, the signals and the labels.
    """
    inactive_days: Annotated[int, Field(ge=1)] = 90
    """Mode inactivity: so long without usage counts as churned. Must fit inside the horizon."""
    active_within_days: Annotated[int, Field(ge=1)] = 180
    """Mode inactivity, or `risk_set = "active"`: the risk set is accounts with usage in these days."""
    contraction_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Mode contraction: the share of revenue that must be lost."""
    query: str | None = None
    """Mode query: a SELECT of account_id, as_of and churned, over the raw tables and `snapshots`.

    It sees what happened before the end of the horizon, and answers true, false, or null if that is not known.
    """
    locked_in_accounts: Literal["keep", "auto", "exclude"] = "keep"
    """Whether accounts whose paid term ends after the horizon count as not churned.

    A model that has never seen such accounts can only guess their risk, so by default they count. With `auto` they
    count only if one of them was seen to leave, which shows that terms can be broken.
    """

    trials_at_risk: bool = False
    """Whether accounts in a trial count (`trial_until`), with an MRR of 0: one that ends unpaid is a departure then.

    Otherwise a subscription begins when its trial ends, and one that ends within its trial never was.
    """
    pauses_at_risk: bool = True
    """Whether a paused subscription (`paused_from`, `paused_until`) runs on, with its MRR.

    Otherwise it does not run in its pause: an account without another one is not at risk, and has no MRR.
    """
    pause_is_departure: bool = False
    """Mode contract, with `pauses_at_risk = false`: whether an account leaves when it pauses for longer than the grace.

    Otherwise it leaves when the subscription ends, also if that is within the pause.
    """
    free_plans_at_risk: bool = True
    """Whether a free plan runs: one with `is_free`, or with an MRR of 0 if that is not known.

    Otherwise an account that moves to a free plan leaves.
    """
    risk_set: Literal["subscribed", "active"] = "subscribed"
    """Mode query: which accounts it is about, those with a running subscription or those with recent usage."""

    @property
    def label_tables(self) -> frozenset[str]:
        """The optional tables that hold the label itself; they give no signals."""
        return frozenset({"notices"}) if self.mode == "event" else frozenset()

    @property
    def changed_at_risk(self) -> Mapping[str, bool]:
        """Which subscriptions are at risk, as far as that is not the default."""
        values = {name: bool(getattr(self, name)) for name in AT_RISK}
        return {name: value for name, value in values.items() if value != type(self).model_fields[name].default}

    @property
    def required_activity_days(self) -> int | None:
        """An account is in the risk set if active within these days; None if a running subscription decides."""
        by_usage = self.mode == "inactivity" or self.risk_set == "active"
        return self.active_within_days if by_usage else None

    @model_validator(mode="after")
    def _count_months(self) -> Self:
        if self.horizon_months is None:
            if self.horizons_months != type(self).model_fields["horizons_months"].default:
                raise ValueError("horizons_months goes with horizon_months: set both, or horizon_days and horizons")
            return self
        days = {"horizon_days": mean_days(self.horizon_months), "horizons": tuple(map(mean_days, self.horizons_months))}
        if any(name in self.model_fields_set and getattr(self, name) != value for name, value in days.items()):
            raise ValueError("horizon_months takes the place of horizon_days and horizons: leave these two out")
        for name, value in days.items():
            object.__setattr__(self, name, value)
        return self

    @model_validator(mode="after")
    def _check_horizon(self) -> Self:
        shortest = shortest_days(self.horizon_months) if self.horizon_months else self.horizon_days
        if self.mode == "inactivity" and self.inactive_days > shortest:
            raise ValueError(f"inactive_days must fit inside the horizon of {shortest} days")
        return self

    @model_validator(mode="after")
    def _check_pauses(self) -> Self:
        if self.pause_is_departure and self.pauses_at_risk:
            raise ValueError("pause_is_departure needs pauses_at_risk = false: what is at risk in a pause has not left")
        return self

    @model_validator(mode="after")
    def _check_query(self) -> Self:
        if (self.mode == "query") != (self.query is not None):
            raise ValueError("mode = 'query' needs the setting query, and no other mode has it")
        if self.mode != "query" and self.risk_set != "subscribed":
            raise ValueError("risk_set is for mode = 'query': every other mode has its own")
        return self
