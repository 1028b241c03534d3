"""Exporting the risks of everyone, as `oarlock score --all --to` asks for it."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cli.context import Oarlock
from cli.output import new_table, print_json

if TYPE_CHECKING:
    from serving.exports.field_map import Exported


@dataclass(frozen=True)
class Wanted:
    """What was asked for: where to, under which names, whether to change nothing there, which day, how many drivers."""

    to: str
    fields: Path | None
    dry_run: bool
    as_of: datetime | None
    drivers: int


def run_export(oarlock: Oarlock, wanted: Wanted) -> None:
    """Score everyone chunk by chunk, then bring the target up to date or say what would change there."""
    from configs.clock import now
    from serving.exports.field_map import read_mapping, write_export
    from serving.exports.targets import compare, target
    from serving.security.erasure import note_export

    mapped, place, state = read_mapping(wanted.fields), target(wanted.to), oarlock.state
    with tempfile.TemporaryDirectory(dir=state.folder, prefix=".export-") as folder:
        export, there = Path(folder) / "export.parquet", Path(folder) / "there.parquet"
        count = write_export(export, mapped, _chunks(oarlock, wanted))
        if wanted.dry_run:
            found = vars(compare(place.existing(there, mapped.columns), export, mapped.key))
        else:
            note_export(oarlock.database, place.name, mapped.key, now())  # before, so that a killed export is known
            place.write(export, mapped.key)
            found = {}
    if oarlock.speaks_json:
        print_json({"to": place.name, "accounts": count, "dry_run": wanted.dry_run, **found})
        return
    if not wanted.dry_run:
        oarlock.console.print(f"{count:,} accounts are in {place.name}.", markup=False)
        return
    said = ", ".join(f"{found[one]:,} {one}" for one in ("new", "changed", "removed", "same"))
    oarlock.console.print(f"{place.name} would hold {count:,} accounts: {said}.", markup=False)
    table = new_table("account", "is", "what")
    for row in found["shown"]:
        table.add_row(*row.values())
    oarlock.console.print(table)


def _chunks(oarlock: Oarlock, wanted: Wanted) -> Iterator[list["Exported"]]:
    from configs.clock import now
    from features.store.account_table import AccountFacts, FactsTable
    from serving.exports.field_map import Exported
    from serving.gc_tuning import tune_garbage_collector
    from serving.scoring.batch import open_batch
    from serving.scoring.scorer import Scorer

    settings, state, until = oarlock.settings, oarlock.state, oarlock.known_until
    batch = open_batch(Scorer(settings, state, lambda: min(until, now())), [], wanted.as_of)
    facts, done = FactsTable(state.facts), 0
    tune_garbage_collector()
    with oarlock.progress("score") as progress:
        for reply in batch.iter_responses(wanted.drivers):
            done += len(reply["scores"]) + len(reply["not_scored"])
            progress(f"{done:,} of {len(batch.account_ids):,} accounts", done, len(batch.account_ids))
            about = facts.of([one["account_id"] for one in reply["scores"]])
            yield [
                Exported(one, about.get(one["account_id"], AccountFacts("")), reply["model"], settings.bands)
                for one in reply["scores"]
            ]
    facts.close()
