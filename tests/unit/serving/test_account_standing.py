"""Since when a risk is in its band: a day is the first one only if all served risks were read."""

from datetime import datetime, timedelta

import pytest

from serving.ledger.ledger import Ledger
from serving.ledger.reader import LedgerReader
from serving.views.account_view import HISTORY_LIMIT, find_standing
from tests.support.ledger_rows import score, source_at

LAST = datetime(2026, 6, 1)


@pytest.mark.parametrize(("days", "may_be_longer"), [(3, False), (HISTORY_LIMIT + 10, True)])
def test_a_band_that_all_read_risks_have_may_have_begun_before_them(tmp_path, days: int, may_be_longer: bool):
    ledger = Ledger(tmp_path / "ledger.db")
    for ago in reversed(range(days)):
        day = LAST - timedelta(days=ago)
        ledger.append([score("a", 0.1, signals_as_of=day.isoformat())], source_at(day))
    history = LedgerReader(ledger).history("a", HISTORY_LIMIT)
    standing = find_standing(history, history[0].band, "2026-06-01T00:00:00Z")
    assert standing.since == LAST - timedelta(days=min(days, HISTORY_LIMIT) - 1)
    assert (standing.before, standing.may_be_longer) == (None, may_be_longer)
