"""Checks of what a request asks for that need the state: known accounts, days that have begun, known horizons."""

from collections.abc import Sequence
from datetime import date

import numpy as np

from configs.errors import RequestError
from serving.handlers.context import ServiceContext
from serving.scoring.model_bundle import ModelBundle
from serving.scoring.signal_lookup import fetch_signals


def require_account(context: ServiceContext, account_id: str) -> None:
    """Raise RequestError (404) for an account that does not exist."""
    if not _account_exists(context, account_id):
        raise unknown_account(account_id)


def require_known_accounts(context: ServiceContext, account_ids: Sequence[str]) -> None:
    """Raise RequestError (422) with the first of these accounts that does not exist."""
    ids = list(dict.fromkeys(account_ids))
    details = context.account_table.details(ids)
    unpublished = [account_id for account_id in ids if account_id not in details]
    has_signals = ~np.isnat(fetch_signals(context.scorer.signals, unpublished).newest_as_of)
    without = [account_id for account_id, has in zip(unpublished, has_signals, strict=True) if not has]
    ever_given = context.ledger_reader.last_known(without)
    unknown = [account_id for account_id in without if account_id not in ever_given]
    if unknown:
        more = f", nor are there {len(unknown) - 1:,} others" if len(unknown) > 1 else ""
        hint = "GET /v1/accounts lists them. Nothing was saved."
        raise RequestError(f"There is no account {unknown[0]!r}{more}.", hint, code="unknown_account", status=422)


def require_past_day(context: ServiceContext, day: date) -> None:
    """Raise RequestError (422) for a day in the future."""
    today = context.today()
    if day > today:
        raise RequestError(f"{day} is after {today}.", "Ask for today or an earlier day.", code="day_ahead", status=422)


def require_horizon(model: ModelBundle, horizon_days: int) -> None:
    """Raise RequestError (422) for a horizon that a model does not have."""
    if horizon_days not in model.calibrator.horizons:
        horizons = ", ".join(map(str, model.calibrator.horizons))
        message = f"Not every requested version has a risk within {horizon_days} days."
        raise RequestError(message, f"Ask for one of {horizons}.", code="unknown_horizon", status=422)


def unknown_account(account_id: str) -> RequestError:
    """The error (404) for an account that does not exist."""
    message = f"There is no account {account_id!r}."
    return RequestError(message, "GET /v1/accounts lists them.", code="unknown_account", status=404)


def _account_exists(context: ServiceContext, account_id: str) -> bool:
    """Whether an account is at risk, was ever scored, or has signals."""
    if account_id in context.account_table.details([account_id]) or context.ledger_reader.history(account_id, 1):
        return True
    return not np.isnat(fetch_signals(context.scorer.signals, [account_id]).newest_as_of[0])
