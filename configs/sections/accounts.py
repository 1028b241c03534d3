"""What is done about an account: by its stage, on the work list, by the function that can act."""

from typing import Annotated

from pydantic import Field, model_validator

from configs.sections.section import Days, Section


class StageSettings(Section):
    """Where an account is in its life: onboarding, renewing or established."""

    onboarding_days: Days = 90
    """Onboarding: this long after the start."""
    renewing_days: Days = 90
    """Renewing: this long before the end of a term."""
    shortest_term_months: Annotated[float, Field(ge=0)] = 4.0
    """Shorter terms have no stage `renewing`: they would renew all the time."""


class WorkListSettings(Section):
    """Whom to call. The odds and costs of a call are those of `evaluation.profit`."""

    per_owner: Annotated[int, Field(ge=1)] = 10
    """The most accounts for each owner."""
    revenue_months: Annotated[float, Field(gt=0)] = 12.0
    """Keeping an account is worth this many months of its revenue."""
    touched_within_days: Days = 7
    """Accounts that were contacted so recently are excluded."""


def _functions() -> dict[str, str]:
    success, accounts = "customer success", "account management"
    return {
        "adoption": success, "value": success, "engagement": success, "sentiment": success, "onboarding": "onboarding",
        "support": "support", "billing": "finance", "relationship": accounts, "contract": accounts,
        "customer_profile": "marketing and sales",
    }  # fmt: skip


class RetentionSettings(Section):
    """Which reasons for leaving the company can do something about, and which function owns a family of drivers.

    A reason in neither list is shown as unknown.
    """

    controllable: tuple[str, ...] = ()
    """Reasons that the company can do something about, as `notices.reason` names them."""
    not_controllable: tuple[str, ...] = ()
    """Reasons that it cannot."""
    functions: dict[str, str] = Field(default_factory=_functions)
    """The function of the company that can do something about the drivers of each family."""

    @model_validator(mode="after")
    def _check_reasons(self) -> "RetentionSettings":
        listed = [reason.strip().casefold() for reason in (*self.controllable, *self.not_controllable)]
        if len(listed) != len(set(listed)):
            raise ValueError("a reason is listed twice")
        return self
