"""Batch scoring: every account of a published day, through the store's history instead of its online half."""

from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from configs.errors import NotReady
from features.history import KEY, accounts_on, is_complete
from features.online import values_of
from features.publish import published_edition
from features.store import open_store, read_history
from serving.engine import Engine, Signals


def score_day(
    engine: Engine, account_ids: list[str], as_of: datetime | None, most_drivers: int | None
) -> dict[str, Any]:
    """The reply for these accounts, or for every account where none is named, riskiest first.

    `as_of` is a published day, the newest where it is None. Raises NotReady for a day that was never published.
    """
    engine.champion()
    place, newest = published_edition(engine.state)
    day = as_of or newest
    if not is_complete(place, day):
        raise NotReady(f"{day:%Y-%m-%d} was never published.", f"Run `oarlock publish --as-of {day:%Y-%m-%d}`.")
    there = set(accounts_on(place, day))
    asked = list(dict.fromkeys(account_ids)) or sorted(there)
    snapshots = pd.DataFrame({KEY: asked, "as_of": day}).astype({"as_of": "datetime64[us]"})
    values = read_history(open_store(engine.state, engine.settings.name), snapshots).drop(columns=[KEY, "as_of"])
    # Feast answers for an account that left with the last signals it had: they are known, but not of this day.
    before = np.where(values.notna().any(axis=1), np.datetime64(day) - 1, np.datetime64("NaT"))
    known = np.where([one in there for one in asked], np.datetime64(day), before)
    categories = {one.name for one in place.signals if one.kind == "category"}
    reply = engine.reply(Signals(asked, values_of(values, categories), known, day), most_drivers)
    return {**reply, "scores": sorted(reply["scores"], key=lambda one: -one["risk"])}
