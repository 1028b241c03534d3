"""Tries an upgrade without changing anything: a copy of the ledger is migrated, and its newest answers are replayed."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from configs.settings import Settings
from configs.state_dir import StateDir
from features.online.online_store import open_online_reader
from serving.ledger.ledger import open_ledger
from serving.ledger.schema import HEAD_REVISION
from serving.scoring.champion import ChampionProvider
from serving.scoring.scorer import Clock, Scorer
from serving.upgrade.migrated_copy import migrated_copy
from serving.upgrade.replay import Replay, read_answers, replay_answers
from serving.upgrade.scratch_state import open_scratch_state


@dataclass(frozen=True)
class DryRun:
    """What an upgrade would do: the revisions of the schema, how many rows there are, and the answers on new code.

    `lost_rows` has the tables that have fewer rows after the migration, with how many they lose.
    """

    from_revision: str
    to_revision: str
    rows: int
    lost_rows: dict[str, int]
    answers: int
    replay: Replay

    @property
    def is_same(self) -> bool:
        """Whether nothing is lost and no answer is another one."""
        return not self.lost_rows and not self.replay.different


def try_upgrade(settings: Settings, state: StateDir, limit: int, clock: Clock) -> DryRun:
    """Migrate a copy of the ledger and replay the answers that were recorded last; the state stays as it is.

    Raises NotReady for a ledger without tables, or without a champion, and ConfigError for one of a later release.
    """
    ledger = open_ledger(settings, state)
    with (
        tempfile.TemporaryDirectory(prefix="oarlock-upgrade-") as scratch,
        migrated_copy(ledger.location, Path(scratch)) as copy,
    ):
        answers, replay = read_answers(copy.connection, limit), Replay(0, 0, (), {})
        if answers:
            own = open_scratch_state(state, Path(scratch), settings.name)
            champions = ChampionProvider(own, settings.name)
            scorer = Scorer(settings, champions, open_online_reader(own), ledger, clock)
            replay = replay_answers(scorer, own, answers)
        lost = {name: rows - copy.rows_after.get(name, 0) for name, rows in copy.rows_before.items()}
        return DryRun(
            from_revision=copy.from_revision,
            to_revision=HEAD_REVISION,
            rows=sum(copy.rows_before.values()),
            lost_rows={name: rows for name, rows in lost.items() if rows > 0},
            answers=len(answers),
            replay=replay,
        )
