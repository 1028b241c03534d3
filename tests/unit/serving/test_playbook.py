"""The playbook: the most specific play, the reason why it is not suggested, and no family without a play."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast

import pytest

from configs.errors import ConfigError
from configs.settings import Settings
from features.signals.families import FAMILIES
from features.signals.registry import catalogue
from features.store.account_table import AccountDetails
from serving.accounts.playbook import (
    ContactLimits,
    Play,
    Playbook,
    PlayContext,
    choose_play,
    read_playbook,
    suggest_play,
    validate_playbook,
)
from serving.schemas.responses import Score

AS_OF = datetime(2024, 5, 15)
SHIPPED = Settings.model_fields["playbook"].default
CONTEXT = PlayContext("support", "open_tickets", "high", "mid", "established")


def _play(name: str, **fields) -> Play:
    required = {"name": name, "families": ("support",), "action": "Do what helps.", "assignee_role": "support"}
    return Play(**required, **fields)


def _score(band: str = "high", points: float = 0.1, typical: float = 1.0, **fields: object) -> Score:
    signals = [
        {"name": "open_tickets", "points": points * 2, "value": 7.0, "typical": typical, "unit": "tickets"},
        {"name": "resolution_days_91d", "points": -points, "value": 1.0, "typical": 2.0, "unit": "days"},
    ]
    driver = {"family": "support", "points": points, "text": "support: open tickets: 7", "signals": signals}
    return cast(Score, {"band": band, "drivers": [driver], "signals_as_of": AS_OF.isoformat(), **fields})


BOOK = Playbook(play=(_play("escalation_desk", cooldown_days=14),))
LIMITS = ContactLimits(touched_within_days=7)


def _suppressed_reason(
    account: AccountDetails, score: Score | None = None, limits: ContactLimits = LIMITS, book: Playbook = BOOK
):
    suggestion = suggest_play(book, score or _score(), account, limits)
    assert suggestion is not None
    assert suggestion["suggested"] == (suggestion["suppressed_reason"] is None)
    assert suggestion["rationale"]
    return suggestion["suppressed_reason"]


def test_the_shipped_playbook_is_valid():
    validate_playbook(read_playbook(SHIPPED), SHIPPED, FAMILIES, [signal.name for signal in catalogue()])


def test_the_shipped_plays_name_signals_of_their_families():
    family_of = {signal.name: signal.family for signal in catalogue()}
    for play in read_playbook(SHIPPED).play:
        assert {family_of[name] for name in play.signals} <= set(play.families), play.name


@pytest.mark.parametrize(
    ("conditions", "chosen"),
    [
        ([], "plain"),
        ([{"bands": ("high",)}], "other0"),
        ([{"bands": ("low",)}], "plain"),
        ([{"bands": ("high",)}, {"signals": ("open_tickets",)}], "other1"),
        ([{"stages": ("established",)}, {"bands": ("high",), "segments": ("mid",)}], "other1"),
        ([{"segments": ("small",)}], "plain"),
        ([{"bands": ("high",)}, {"bands": ("high", "critical")}], "other0"),
    ],
)
def test_the_most_specific_play_is_chosen(conditions, chosen):
    plays = [_play("plain"), *(_play(f"other{n}", **fields) for n, fields in enumerate(conditions))]
    assert choose_play(Playbook(play=tuple(plays)), CONTEXT).name == chosen


def test_a_family_without_a_play_without_conditions_is_refused(tmp_path):
    book = Playbook(play=(_play("only_when_high", bands=("high",)),))
    with pytest.raises(ConfigError, match="'support' has no play without conditions"):
        validate_playbook(book, tmp_path / "p.toml", ["support"])


def test_a_play_that_names_an_unknown_signal_is_refused(tmp_path):
    book = Playbook(play=(*BOOK.play, _play("odd", signals=("open_tickts",))))
    with pytest.raises(ConfigError, match="'odd' names the unknown signal 'open_tickts'"):
        validate_playbook(book, tmp_path / "p.toml", ["support"], ["open_tickets"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[play", "not valid TOML"),
        ("", "play: field required"),
        (
            '[[play]]\nname = "a"\nfamilies = ["fit"]\naction = "Do what helps."\nassignee_role = "us"\nband = ["low"]',
            "band is not known",
        ),
        (
            '[[play]]\nname = "a"\nfamilies = ["fit"]\naction = "Do what helps."\nassignee_role = "us"\nbands = ["hi"]',
            "bands.0",
        ),
        (
            '[[play]]\nname = "a"\nfamilies = ["fit"]\naction = "Do what helps."\nassignee_role = "us"\n' * 2,
            "more than once",
        ),
    ],
)
def test_an_invalid_playbook_is_refused(tmp_path, text, message):
    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_playbook(tmp_path / "p.toml")


def test_a_suggestion_has_an_action_and_a_rationale():
    assert suggest_play(BOOK, _score(), AccountDetails("a"), LIMITS) == {
        "play": "escalation_desk",
        "family": "support",
        "action": "Do what helps.",
        "assignee_role": "support",
        "suggested": True,
        "suppressed_reason": None,
        "rationale": "support: open tickets: 7: 10.0 points",
    }


def test_a_typical_signal_is_no_reason_for_a_play():
    book = Playbook(play=(_play("plain"), _play("triage", signals=("open_tickets",))))
    suggestions = [suggest_play(book, _score(typical=typical), AccountDetails("a"), LIMITS) for typical in (1.0, 7.0)]
    assert [suggestion and suggestion["play"] for suggestion in suggestions] == ["triage", "plain"]


def test_an_account_without_a_driver_has_no_play():
    assert suggest_play(BOOK, _score(drivers=[]), AccountDetails("a"), LIMITS) is None


@pytest.mark.parametrize(
    ("days", "held_out", "play", "reason"),
    [
        (13, False, "escalation_desk", "in_cooldown"),
        (14, False, "escalation_desk", None),
        (13, False, "another", None),
        (13, True, "another", "held_out"),
        (14, True, "another", None),
    ],
)
def test_a_play_is_not_suggested_again_within_its_cooldown(days, held_out, play, reason):
    account = AccountDetails("a", play=play, play_at=AS_OF - timedelta(days=days), held_out=held_out)
    assert _suppressed_reason(account) == reason


@pytest.mark.parametrize(("days", "reason"), [(0, "already_touched"), (6.9, "already_touched"), (7, None)])
def test_a_recently_contacted_account_gets_no_suggestion(days, reason):
    assert _suppressed_reason(AccountDetails("a", touched_at=AS_OF - timedelta(days=days))) == reason


def test_an_account_at_low_risk_gets_no_suggestion():
    assert _suppressed_reason(AccountDetails("a"), _score(band="low")) == "low_risk"


@pytest.mark.parametrize(("mark", "reason"), [("do_not_chase", "do_not_chase"), ("saved_watch", "already_touched")])
def test_a_mark_comes_before_other_reasons(mark, reason):
    account = AccountDetails("a", touched_at=AS_OF)
    assert _suppressed_reason(account, limits=replace(LIMITS, mark=mark)) == reason


def test_a_suppressed_play_is_not_suggested():
    book = Playbook(play=(_play("never", suppressed="no use"),))
    assert _suppressed_reason(AccountDetails("a"), book=book) == "suppressed"
