"""The hash of a ledger entry: it is the same wherever the entry is, and another for anything else that was said."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from serving.ledger.entry_hash import hash_entry, recorded_entry
from serving.ledger.ledger import Ledger
from serving.ledger.reader import LedgerReader
from tests.support.ledger_rows import score, source_at

AT = datetime(2024, 7, 3, 12, 30, 15, 123456)
SCORE = score("ä", 0.1 + 0.2, drivers=[{"family": "support", "points": 1e-17}])
ENTRY = recorded_entry(SCORE, source_at(AT))


def test_a_stored_entry_has_the_hash_that_was_given_when_it_was_recorded(tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.append([score("b")], source_at(AT))
    ledger.append([SCORE], source_at(AT))
    (stored,) = LedgerReader(ledger).recorded_at("ä", AT)
    assert hash_entry(stored) == hash_entry(ENTRY)


@pytest.mark.parametrize(
    "change",
    [
        {"account_id": "b"}, {"risk": 0.3}, {"base": 0.0500001}, {"band": "low"}, {"mrr": None}, {"version": 2},
        {"scored_at": AT + timedelta(microseconds=1)}, {"as_of": AT}, {"signal_set": "t"}, {"status": "stale"},
        {"score": {**SCORE, "drivers": []}},
    ],
)  # fmt: skip
def test_whatever_is_said_otherwise_has_another_hash(change):
    assert hash_entry(replace(ENTRY, **change)) != hash_entry(ENTRY)


def test_the_number_of_the_row_does_not_matter():
    assert hash_entry(replace(ENTRY, id=7)) == hash_entry(ENTRY)
