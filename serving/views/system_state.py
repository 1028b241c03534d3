"""The state of the system in one line: the model that answers, and how old its signals are."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from configs.errors import OarlockError
from features.store.publication import published_as_of
from serving.handlers.context import ServiceContext


@dataclass(frozen=True)
class SystemState:
    """What answers now; `fault` is why nothing can, `warning` why the model cannot be trusted."""

    version: int | None
    horizon_days: int | None
    signals_as_of: datetime | None
    signals_age_days: int | None
    is_stale: bool
    refused_version: int | None
    fault: str = ""
    warning: str | None = None


def describe_system(context: ServiceContext) -> SystemState:
    """The state of the system; what is missing is None, and `fault` says why."""
    try:
        champion = context.champions.champion()
        as_of = published_as_of(context.state)
    except OarlockError as error:
        return SystemState(None, None, None, None, is_stale=False, refused_version=None, fault=error.message)
    age = context.clock() - as_of
    refused = context.champions.refused
    return SystemState(
        version=champion.version.number,
        horizon_days=champion.model.horizon_days,
        signals_as_of=as_of,
        signals_age_days=max(age // timedelta(days=1), 0),
        is_stale=age > timedelta(days=context.settings.serving.stale_after_days),
        refused_version=refused["version"] if refused else None,
        warning=champion.warning,
    )
