"""How a model is evaluated and compared with the champion."""

from typing import Annotated

from pydantic import Field

from configs.sections.section import Amount, Section, Share


class ProfitSettings(Section):
    """What keeping an account is worth. The defaults are those of Verbraken, Verbeke & Baesens (2013)."""

    lifetime_value: Amount = 200.0
    """Value of an account that is kept."""
    offer_cost: Annotated[float, Field(ge=0)] = 10.0
    """Cost of the offer."""
    contact_cost: Annotated[float, Field(ge=0)] = 1.0
    """Cost of the contact."""
    alpha: Amount = 6.0
    """An account that would leave accepts the offer with a probability from Beta(`alpha`, `beta`)."""
    beta: Amount = 14.0
    """The second parameter of that distribution."""


class EvaluationSettings(Section):
    """How a model is evaluated."""

    backtest_folds: Annotated[int, Field(ge=1)] = 3
    """Past test days on which the model is refitted and evaluated."""
    fold_spacing_days: Annotated[int, Field(ge=1)] | None = None
    """Days between them; the horizon by default."""
    group_kfold: Annotated[int, Field(ge=0)] = 0
    """If above 1, also evaluate accounts that were left out of the fit, in so many folds."""
    bootstrap_samples: Annotated[int, Field(ge=20)] = 200
    """Bootstrap samples of accounts behind each interval."""
    capacity: Annotated[int, Field(ge=1)] = 50
    """Accounts that the team can call from one day's list."""
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Level of the intervals. With 0.95 a model that is no better than a baseline passes once in 40."""
    ablation_snapshots: Annotated[int, Field(ge=0)] = 20_000
    """The most snapshots that a model without a family is fitted on; 0 turns the ablation off."""
    learning_curve: bool = True
    """Also fit on quarters and halves of the accounts, to tell what more data would bring."""
    profit: ProfitSettings = ProfitSettings()


class ComparisonSettings(Section):
    """How much worse than the champion a challenger may be. The whole paired interval must lie within these margins."""

    log_loss_margin: Share = 0.02
    """As a share of the champion's log loss."""
    segment_log_loss_margin: Share = 0.05
    """The same within a segment."""
    calibration_margin: Share = 0.01
    """As a mean distance between risk and churn rate."""
    min_churned: Annotated[int, Field(ge=1)] = 50
    """Segments with fewer churned accounts are not compared."""
    max_flip_share: Share = 0.5
    """Share of the accounts worth a call whose main family may change."""
