"""The health score: parts weighted by hand that add up to it, and what it never is."""

from pathlib import Path

import pandas as pd
import pytest

from configs.errors import ConfigError
from features.health_score.health_score import AccountHealth, score_accounts
from features.health_score.parts import HealthParts, read_health_parts
from features.signals.registry import catalogue
from tests.support.source_tree import ROOT, imported_names, product_files

SIGNALS = {signal.name: signal for signal in catalogue()}
FAMILIES = {name: signal.family for name, signal in SIGNALS.items()}
SHIPPED = ROOT / "configs" / "health_score.toml"
PART = '[[part]]\nname = "{}"\nlabel = "x"\nsignal = "{}"\nworst = {}\nbest = {}\nweight = {}\n'
USAGE, NPS = ("usage", "events_trend_91d", 0, 1, 40), ("nps", "last_nps", 0, 10, 30)
DUE = ("due", "days_past_due", 50, 0, 30)


def parts_of(folder: Path, *parts: tuple, head: str = "") -> HealthParts:
    file = folder / "parts.toml"
    file.write_text(head + "".join(PART.format(*part) for part in parts))
    return read_health_parts(file, SIGNALS)


def health(parts: HealthParts, **values: float | None) -> AccountHealth:
    rows = pd.DataFrame({name: [value] for name, value in values.items()}, index=["a"], dtype=float)
    return score_accounts(rows, parts, FAMILIES)[0]


def test_each_part_gives_its_share_of_its_weight(tmp_path: Path):
    account = health(parts_of(tmp_path, USAGE, NPS, DUE), events_trend_91d=0.5, last_nps=9, days_past_due=20)
    assert (account.score, account.points) == (65, {"usage": 20, "nps": 27, "due": 18})


def test_values_beyond_the_ends_count_as_the_ends(tmp_path: Path):
    account = health(parts_of(tmp_path, USAGE, NPS, DUE), events_trend_91d=7, last_nps=0, days_past_due=90)
    assert (account.score, account.points) == (40, {"usage": 40, "nps": 0, "due": 0})


def test_what_is_not_known_is_left_out_and_the_other_weights_grow(tmp_path: Path):
    account = health(parts_of(tmp_path, USAGE, NPS, DUE), events_trend_91d=1, last_nps=None, days_past_due=25)
    assert (account.score, account.points) == (75, {"usage": 50, "due": 25})  # at most half for a family


def test_the_parts_add_up_to_the_score_exactly(tmp_path: Path):
    parts = parts_of(tmp_path, USAGE, NPS, DUE)
    grid = [(usage / 7, nps, due) for usage in range(8) for nps in range(11) for due in (0, 7, 13, 49)]
    rows = pd.DataFrame(
        grid, columns=["events_trend_91d", "last_nps", "days_past_due"], index=[str(n) for n in range(len(grid))]
    )
    scored = score_accounts(rows.astype(float), parts, FAMILIES)
    assert all(sum(account.points.values()) == account.score for account in scored)
    scores = [account.score for account in scored if account.score is not None]
    assert scores == sorted(scores)
    assert (len(scores), scores[0], scores[-1]) == (len(grid), 1, 100)


@pytest.mark.parametrize("values", [{"events_trend_91d": 1.0}, {"last_nps": 10.0}])
def test_one_family_alone_is_no_score(tmp_path: Path, values: dict):
    assert health(parts_of(tmp_path, USAGE, NPS, DUE, head="least_weight = 1\n"), **values).score is None


def test_too_little_weight_is_no_score(tmp_path: Path):
    parts = parts_of(tmp_path, USAGE, NPS, DUE, head="least_weight = 61\n")
    assert health(parts, last_nps=10, days_past_due=0).score is None


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((USAGE, ("weeks", "active_weeks_91d", 0, 13, 40), NPS), "'adoption' have 73% of the weight"),
        ((USAGE, ("nps", "no_such", 0, 10, 50)), "reads 'no_such', which is no numeric signal"),
        ((USAGE, ("plan", "plan", 0, 10, 50)), "reads 'plan', which is no numeric signal"),
        ((USAGE, ("nps", "last_nps", 5, 5, 50)), "worst and best are the same value"),
        ((USAGE, ("usage", "last_nps", 0, 5, 50)), "there are two parts 'usage'"),
        ((USAGE,), "at least 2"),
    ],
)
def test_weights_that_cannot_be_used_are_refused(tmp_path: Path, parts: tuple, message: str):
    with pytest.raises(ConfigError, match=message):
        parts_of(tmp_path, *parts)


def test_the_shipped_weights_are_of_six_families_and_sum_to_100():
    parts = read_health_parts(SHIPPED, SIGNALS).part
    assert sum(part.weight for part in parts) == 100
    assert len({FAMILIES[part.signal] for part in parts}) >= 6


def test_nothing_that_serves_risks_reads_it():
    readers = {
        str(file.relative_to(ROOT))
        for file in product_files()
        if any(name.startswith("features.health_score") for name in imported_names(file))
    }
    assert readers == {"cli/health_score.py", "features/health_score/health_score.py"}
