"""The desk: everything that one process answers from, opened once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from configs.errors import RequestError
from configs.settings import Settings
from configs.state_dir import StateDir
from features.store.account_table import AccountFacts, FactsTable
from features.store.publication import published_note
from serving.accounts.feedback_store import Said
from serving.accounts.playbook import Playbook, Restraint, read_playbook, refuse_gaps, suggest
from serving.accounts.portfolio import Of, Portfolio, Portfolios, compute
from serving.ledger.reader import Past
from serving.schemas.enums import SuggestedPlay
from serving.scoring.scorer import Scorer
from serving.scoring.scores import band_thresholds
from serving.scoring.signal_lookup import UNKNOWN_ACCOUNT


class AccountTableCache:
    """The facts table of this process, opened again after every publish."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._open: tuple[int, FactsTable] | None = None

    def current(self) -> FactsTable:
        """The facts of the newest published day; raises NotReady where there are none."""
        written = self.file.stat().st_mtime_ns if self.file.exists() else 0
        there = self._open
        if there is None or there[0] != written:
            # The one before is not closed: another thread may be reading it, and it goes with its last reader.
            self._open = there = (written, FactsTable(self.file))
        return there[1]

    def fetch(self, account_ids: Sequence[str]) -> dict[str, AccountFacts]:
        """The facts of these accounts, by id; nothing where none were published."""
        return self.current().of(account_ids) if self.file.exists() else {}


@dataclass(frozen=True)
class ServiceContext:
    """What one process answers from."""

    scorer: Scorer
    playbook: Playbook
    account_table: AccountTableCache
    ledger_reader: Past
    feedback: Said
    portfolios: Portfolios = field(repr=False)

    @property
    def settings(self) -> Settings:
        return self.scorer.settings

    @property
    def state(self) -> StateDir:
        return self.scorer.state

    def now(self) -> datetime:
        return self.scorer.clock()

    def marks(self, account_ids: Sequence[str] | None = None) -> dict[str, str]:
        """What people marked accounts as, of these or of all, as of today."""
        return self.feedback.marks(self.now().date(), account_ids)

    def account_exists(self, account_id: str) -> bool:
        """Whether there is such an account: at risk, ever given a risk, or in the store of signals."""
        if account_id in self.account_table.fetch([account_id]) or self.ledger_reader.history(account_id, 1):
            return True
        return not np.isnat(self.scorer.fetch_signals([account_id]).newest_as_of[0])

    def require_account(self, account_id: str) -> None:
        """Raise RequestError (404) for an id that is nobody's."""
        if not self.account_exists(account_id):
            raise unknown_account_error(account_id)

    def require_past_day(self, day: date) -> None:
        """Raise RequestError (422) for a day that has not begun."""
        today = self.now().date()
        if day > today:
            raise RequestError(f"{day} lies ahead of {today}.", "Ask for a past day.", code="day_ahead", status=422)

    def suggest_play(self, score: dict[str, Any], about: AccountFacts | None, mark: str | None) -> SuggestedPlay | None:
        """What to do about the driver that raises a risk most; None where nothing does."""
        restraint = Restraint(self.settings.work_list.touched_within_days, mark)
        return suggest(self.playbook, score, about or AccountFacts(score["account_id"]), restraint)


def unknown_account_error(account_id: str) -> RequestError:
    """The refusal (404) of an id that is nobody's."""
    message = f"There is no account {account_id!r}."
    return RequestError(message, "GET /v1/accounts lists them.", code=UNKNOWN_ACCOUNT, status=404)


def open_context(engine: Scorer) -> ServiceContext:
    """The desk of an engine; raises ConfigError for a playbook with a gap."""
    playbook = read_playbook(engine.settings.playbook)
    refuse_gaps(playbook, engine.settings.playbook, [])
    facts = AccountTableCache(engine.state.account_table)
    portfolios = Portfolios(lambda: _portfolio_key(engine), lambda: _compute_portfolio(engine, facts))
    return ServiceContext(engine, playbook, facts, Past(engine.ledger), Said(engine.ledger), portfolios)


def _portfolio_key(engine: Scorer) -> Of:
    champion, note = engine.champion(), published_note(engine.state)
    written = f"{note['written']} {engine.state.publication.stat().st_mtime_ns}"
    model = champion.model
    return Of(
        written=written,
        version=champion.version.number,
        as_of=datetime.fromisoformat(note["as_of"]),
        horizons=tuple(model.calibrator.horizons),
        main=model.main_column,
        names=tuple(model.names),
    )


def _compute_portfolio(engine: Scorer, facts: AccountTableCache) -> Portfolio:
    cuts = band_thresholds(engine.champion().model, engine.settings.bands)
    return compute(_portfolio_key(engine), facts.current(), engine.score_matrix_for, cuts)
