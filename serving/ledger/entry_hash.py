"""The hash of a ledger entry: of what was said of an account, by which model, of which signals, and when.

It does not cover what may differ between two copies of a ledger: the number of the row and the request. Nor does it
cover the purpose, which a failed export changes.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import cast

from serving.ledger.ledger import ScoreSource, row_from_score
from serving.ledger.reader import LedgerEntry, entry_from_row
from serving.schemas.responses import Score

HASHED = (
    "account_id", "as_of", "scored_at", "risk", "base", "band", "status", "mrr", "version", "signal_set", "score",
)  # fmt: skip
UNSTORED = 0  # the id of an entry that is read before the ledger has given it one


def hash_entry(entry: LedgerEntry) -> str:
    """SHA-256 over the canonical JSON of an entry: sorted keys, no spaces, shortest floats, microseconds."""
    values = {name: getattr(entry, name) for name in HASHED}
    values |= {name: getattr(entry, name).isoformat(timespec="microseconds") for name in ("as_of", "scored_at")}
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def recorded_entry(score: Score, source: ScoreSource) -> LedgerEntry:
    """The entry that the ledger will hold of a score that was just recorded."""
    row = cast(Mapping[str, object], row_from_score(score, source))
    return entry_from_row({**row, "id": UNSTORED})
