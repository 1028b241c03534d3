"""What one process answers requests from, opened once."""

import logging
from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np

from configs.background import TaskHealth, require_running
from configs.errors import DamagedState, NotReady, PromotionRefused
from configs.settings import Settings
from configs.state_dir import StateDir
from features.publishing.past_revenue import PastRevenue, PastRevenueSource
from features.store.events.account_events import AccountEvents
from features.store.history_reader import read_history_columns
from features.store.publication import published_history_folder, read_publication
from features.store.revenue_table import RevenueHistory, read_revenue_table
from serving.accounts.account_columns import AccountColumns
from serving.accounts.account_table_cache import AccountTableCache
from serving.accounts.columns_cache import ColumnsCache, ColumnsSource
from serving.accounts.feedback_store import FeedbackStore
from serving.accounts.newest_file import NewestFile
from serving.accounts.playbook import Playbook, read_playbook, validate_playbook
from serving.accounts.portfolio import (
    Portfolio,
    PortfolioCache,
    PortfolioKey,
    PortfolioSource,
    compute_portfolio,
)
from serving.accounts.trends.risk_trend import ModelDoubt, find_refit_spread
from serving.accounts.trends.usage_trend import SIGNALS, UsageChange, measure_usage
from serving.ledger.ledger import Ledger
from serving.ledger.reader import LedgerReader
from serving.load.thread_pools import ThreadPools, open_thread_pools
from serving.scoring.champion import ChampionProvider
from serving.scoring.scorer import Clock, Scorer
from serving.scoring.scores import band_thresholds

LOG = logging.getLogger("oarlock.pages")


@dataclass(frozen=True)
class ServiceContext:
    """Everything that handlers read from and write to; with an `owner` it knows that owner's accounts only."""

    settings: Settings
    state: StateDir
    clock: Clock
    champions: ChampionProvider
    scorer: Scorer
    playbook: Playbook
    account_table: AccountTableCache
    revenue: NewestFile[RevenueHistory]
    past_revenue: PastRevenueSource
    ledger_reader: LedgerReader
    feedback: FeedbackStore
    events: AccountEvents
    pools: ThreadPools
    portfolios: PortfolioSource = field(repr=False)
    columns: ColumnsSource = field(repr=False)
    owner: str | None = None
    background: list[TaskHealth] = field(default_factory=list[TaskHealth])

    def check_ready(self) -> None:
        """Raise NotReady with the reason if no risk can be computed, or background work has stopped."""
        self.scorer.check_ready()
        require_running(self.background)

    def today(self) -> date:
        return self.clock().date()

    def find_portfolio(self) -> Portfolio | None:
        """The portfolio, if it is computed already."""
        current = self.portfolios.current()
        return current if isinstance(current, Portfolio) else None


def open_context(state: StateDir, scorer: Scorer, ledger: Ledger) -> ServiceContext:
    """The context of a scorer; raises ConfigError for a playbook with a gap."""
    settings, account_table = scorer.settings, AccountTableCache(state.account_table)
    playbook = read_playbook(settings.playbook)
    validate_playbook(playbook, settings.playbook, [])
    return ServiceContext(
        settings=settings,
        state=state,
        clock=scorer.clock,
        champions=scorer.champions,
        scorer=scorer,
        playbook=playbook,
        account_table=account_table,
        revenue=NewestFile(state.revenue_table, read_revenue_table),
        past_revenue=PastRevenue(settings, state),
        ledger_reader=LedgerReader(ledger),
        feedback=FeedbackStore(ledger),
        events=AccountEvents(settings, state),
        pools=open_thread_pools(settings.serving.max_accounts_in_flight),
        portfolios=PortfolioCache(
            lambda: _portfolio_key(state, scorer), lambda: _compute_portfolio(state, scorer, account_table)
        ),
        columns=ColumnsCache(
            ledger,
            account_table,
            find_doubt=lambda version: _find_doubt(scorer.champions, version),
            find_usage=lambda columns: _find_usage(state, columns),
        ),
    )


def _find_doubt(champions: ChampionProvider, version: int) -> ModelDoubt:
    """What a version does not know; that is not known either if its bundle has gone."""
    try:
        model = champions.load_version(version)
    except (NotReady, PromotionRefused):
        return ModelDoubt()
    return ModelDoubt(find_refit_spread(model), model.level_sd)


def _find_usage(state: StateDir, columns: AccountColumns) -> UsageChange:
    """How the usage of accounts changed by the day of the columns; not known if that day has left the history.

    A page does not fail for an arrow: a history that is damaged is logged, with the file and the next step.
    """
    try:
        frame = read_history_columns(published_history_folder(state), columns.as_of, SIGNALS)
    except NotReady as error:
        if isinstance(error, DamagedState):
            LOG.warning("usage trends are not known: %s", error)
        unknown = np.full(len(columns), np.nan)
        return UsageChange(unknown, unknown)
    frame = frame.reindex(columns.account_ids)
    return measure_usage({name: frame[name].to_numpy() for name in SIGNALS})


def _portfolio_key(state: StateDir, scorer: Scorer) -> PortfolioKey:
    champion, publication = scorer.champions.champion(), read_publication(state)
    model = champion.model
    return PortfolioKey(
        publication=f"{publication['content_version']} {state.publication.stat().st_mtime_ns}",
        version=champion.version.number,
        as_of=datetime.fromisoformat(publication["as_of"]),
        horizons=tuple(model.calibrator.horizons),
        main_column=model.main_horizon_index,
        signal_names=tuple(model.signal_names),
        families=tuple(model.columns_by_family),
        currency=publication.get("currency"),
    )


def _compute_portfolio(state: StateDir, scorer: Scorer, account_table: AccountTableCache) -> Portfolio:
    thresholds = band_thresholds(scorer.champions.champion().model, scorer.settings.bands)
    return compute_portfolio(
        _portfolio_key(state, scorer), account_table.current(), scorer.score_matrix_for, thresholds
    )
