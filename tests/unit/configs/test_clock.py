"""Instants are UTC without a zone inside, and RFC 3339 with a zone outside."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.clock import format_instant, parse_instant

HALF_PAST_SEVEN = datetime(2026, 7, 1, 7, 30)


@pytest.mark.parametrize("text", ["2026-07-01T07:30:00Z", "2026-07-01T09:30:00+02:00", "2026-07-01T07:30:00"])
def test_an_instant_is_read_as_utc(text: str):
    assert parse_instant(text) == HALF_PAST_SEVEN


def test_an_instant_is_written_with_its_zone():
    assert format_instant(HALF_PAST_SEVEN) == "2026-07-01T07:30:00Z"


@given(st.datetimes())
def test_what_is_written_is_read_back(instant: datetime):
    assert parse_instant(format_instant(instant)) == instant
