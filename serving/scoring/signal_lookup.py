"""The published signals of some accounts, how old they are, and why an account has none."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache, reduce

import numpy as np

from configs.errors import DamagedState, NotReady, StoreDown
from features.store.online_reader import ColumnIndex, SignalReader, SignalValues
from serving.schemas.enums import UnscoredReason
from serving.scoring.model_bundle import ModelBundle
from training.model.churn_model import SignalValue


@dataclass(frozen=True)
class SignalLookup:
    """The signals of some accounts: `values` has a row per account, `as_of` says how old each row is.

    `as_of_by_family` has the age of each family, if they were read separately; `as_of` is then the oldest.
    `age_reference` is the past day that ages are measured from; None means now.
    """

    account_ids: list[str]
    values: SignalValues
    as_of: np.ndarray
    published_as_of: datetime
    as_of_by_family: Mapping[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])
    age_reference: datetime | None = None

    @property
    def newest_as_of(self) -> np.ndarray:
        """The as_of of the newest family of each account."""
        return reduce(np.fmax, self.as_of_by_family.values(), self.as_of)

    def take(self, rows: list[int]) -> "SignalLookup":
        """The signals of these rows."""
        return replace(
            self,
            account_ids=[self.account_ids[row] for row in rows],
            values=self.values.take(rows),
            as_of=self.as_of[rows],
            as_of_by_family={family: as_of[rows] for family, as_of in self.as_of_by_family.items()},
        )


def fetch_signals(reader: SignalReader, account_ids: list[str]) -> SignalLookup:
    """The published signals of these accounts, in one read.

    Raises NotReady if nothing was published, StoreDown if the store cannot be read.
    """
    with _store_down_if_unreadable():
        online = reader.read(account_ids)
    as_of_by_family = dict(zip(online.families, online.timestamps.T, strict=True))
    return SignalLookup(account_ids, online.values, online.as_of, online.published, as_of_by_family)


def values_from_columns(
    model: ModelBundle, columns: Mapping[str, Sequence[SignalValue]], others: Sequence[str] = ()
) -> SignalValues:
    """The signals of a model, and other numbers, from a column per signal; raises KeyError if one is absent."""
    categories = [name for name in model.signal_names if name in model.category_names]
    numbers = [name for name in model.signal_names if name not in model.category_names] + list(others)
    index = ColumnIndex(
        {name: column for column, name in enumerate(numbers)}, {name: column for column, name in enumerate(categories)}
    )
    matrix = np.array([columns[name] for name in numbers], dtype="float64").T
    by_row = list(zip(*(columns[name] for name in categories), strict=True)) or [()] * len(matrix)
    return SignalValues(index, matrix, by_row)


def published_columns(reader: SignalReader) -> ColumnIndex:
    """The published signals. Raises NotReady if nothing was published, StoreDown if that cannot be read."""
    with _store_down_if_unreadable():
        return reader.views().columns


@contextmanager
def _store_down_if_unreadable() -> Iterator[None]:
    try:
        yield
    except DamagedState as error:
        raise StoreDown(f"The online store is down: {error.message}", error.hint) from None
    except OSError as error:
        raise StoreDown(f"The online store cannot be read: {error}.", "Repair it, or run `oarlock publish`.") from None


def require_signals(model: ModelBundle, columns: ColumnIndex) -> None:
    """Raise NotReady if a signal of the model is not published, or if it learned from amounts in another currency."""
    missing = _first_missing_signal(model, columns)
    if missing is not None:
        raise NotReady(
            f"The champion needs the signal '{missing}', which is not published.",
            "Run `oarlock publish`, or promote a model that was trained on the published signals.",
        )
    if model.currency and columns.currency and model.currency != columns.currency:
        raise NotReady(
            f"The champion was trained with amounts in {model.currency}, and the published ones are in"
            f" {columns.currency}.",
            "Train and promote a model anew, or correct `currency` in the mapping and run `oarlock publish`.",
        )


@lru_cache(maxsize=2)
def _first_missing_signal(model: ModelBundle, columns: ColumnIndex) -> str | None:
    return min(model.signal_name_set - columns.names, default=None)


def find_unscored(signals: SignalLookup) -> dict[str, UnscoredReason]:
    """Why accounts have no risk: they are unknown, or had no subscription when signals were last published."""
    unknown = np.isnat(signals.as_of)
    departed = ~unknown & (signals.newest_as_of < np.datetime64(signals.published_as_of))
    return {
        account_id: "unknown_account" if is_unknown else "no_running_subscription"
        for account_id, is_unknown, has_departed in zip(signals.account_ids, unknown, departed, strict=True)
        if is_unknown or has_departed
    }
