"""Rate limits slide over the minute, and hold for all processes that map the same file."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from serving.security import rate_limits
from serving.security.rate_limits import RateLimits
from tests.support.paths import ROOT

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC).timestamp()
HIT_300_TIMES = """
import sys
from pathlib import Path
from serving.security.rate_limits import RateLimits
limits = RateLimits(Path(sys.argv[1]))
print(sum(limits.hit("k", 500, float(sys.argv[2])).is_allowed for _ in range(300)))
"""


@pytest.fixture
def limits(tmp_path: Path) -> RateLimits:
    return RateLimits(tmp_path / "rate_limits.bin")


def allowed(limits: RateLimits, count: int, now: float, limit: int = 60) -> int:
    """How many of so many requests at an instant are allowed."""
    return sum(limits.hit("k", limit, now).is_allowed for _ in range(count))


def test_exactly_the_limit_is_allowed_in_a_minute(limits: RateLimits):
    assert allowed(limits, 100, NOON) == 60
    assert allowed(limits, 100, NOON + 59.9) == 0


@pytest.mark.parametrize(("seconds", "expected"), [(60, 0), (75, 15), (90, 30), (119.99, 59), (120, 60), (500, 60)])
def test_the_minute_slides(limits: RateLimits, seconds: float, expected: int):
    allowed(limits, 60, NOON)
    assert allowed(limits, 100, NOON + seconds) == expected


def test_a_refused_request_is_allowed_after_the_time_it_is_told(limits: RateLimits):
    now = NOON
    for _ in range(200):
        decision = limits.hit("k", 7, now)
        if not decision.is_allowed:
            assert not limits.hit("k", 7, now + decision.retry_after_seconds - 1.01).is_allowed
            now += decision.retry_after_seconds
            assert limits.hit("k", 7, now).is_allowed
        now += 0.7


def test_what_is_left_is_counted(limits: RateLimits):
    decisions = [limits.hit("k", 3, NOON + 20) for _ in range(4)]
    assert [decision.remaining for decision in decisions] == [2, 1, 0, 0]
    assert {decision.reset_seconds for decision in decisions} == {40}
    assert decisions[0].headers == {b"ratelimit-policy": b'"key";q=3;w=60', b"ratelimit": b'"key";r=2;t=40'}


def test_keys_are_counted_apart_even_if_there_are_more_than_slots(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(rate_limits, "SLOTS", 3)
    limits = RateLimits(tmp_path / "rate_limits.bin")
    first = [limits.hit(f"k{n}", 2, NOON + 60 * n).remaining for n in range(4)]
    again = [limits.hit(f"k{n}", 2, NOON + 180).remaining for n in (1, 2, 3)]
    assert (first, again) == ([1, 1, 1, 1], [1, 0, 0])


def test_a_clock_that_is_set_back_locks_nobody_out(limits: RateLimits):
    allowed(limits, 60, NOON)
    assert allowed(limits, 100, NOON - 3600) == 0
    assert allowed(limits, 100, NOON - 3600 + 120) == 60


def test_processes_share_the_limit(tmp_path: Path):
    path = tmp_path / "rate_limits.bin"
    command = [sys.executable, "-c", HIT_300_TIMES, str(path), str(NOON)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) for _ in range(3)]
    assert sum(int(process.communicate()[0]) for process in processes) == 500
    assert path.stat().st_mode & 0o777 == 0o600
