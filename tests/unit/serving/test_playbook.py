"""The playbook: the play that fits best, why it is not suggested, and no family without one."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from configs.errors import ConfigError
from configs.settings import Settings
from features.signals.registry import FAMILIES, catalogue
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

AS_OF = datetime(2024, 5, 15)
SHIPPED = Settings.model_fields["playbook"].default
CASE = PlayContext("support", "open_tickets", "high", "mid", "established")


def _play(name: str, **more) -> Play:
    return Play(
        **{"name": name, "families": ("support",), "action": "Do what helps.", "assignee_role": "support", **more}
    )


def _score(band: str = "high", points: float = 0.1) -> dict:
    signals = [
        {"name": "open_tickets", "points": points * 2},
        {"name": "resolution_days_91d", "points": -points},
    ]
    driver = {"family": "support", "points": points, "text": "support: open tickets: 7", "signals": signals}
    return {"band": band, "drivers": [driver], "signals_as_of": AS_OF.isoformat()}


BOOK = Playbook(play=(_play("escalation_desk", cooldown_days=14),))
FREE = ContactLimits(touched_within_days=7)


def _why_not(about: AccountDetails, score: dict | None = None, restraint: ContactLimits = FREE, book: Playbook = BOOK):
    found = suggest_play(book, score or _score(), about, restraint)
    assert found is not None
    assert found["suggested"] == (found["why_not"] is None)
    assert found["because"]
    return found["why_not"]


def test_the_shipped_playbook_has_a_play_for_every_family_and_names_only_signals_there_are():
    validate_playbook(read_playbook(SHIPPED), SHIPPED, FAMILIES, [one.name for one in catalogue()])


def test_the_shipped_plays_lead_with_the_signals_of_their_family():
    family_of = {one.name: one.family for one in catalogue()}
    for play in read_playbook(SHIPPED).play:
        assert {family_of[name] for name in play.signals} <= set(play.families), play.name


@pytest.mark.parametrize(
    ("more", "taken"),
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
def test_the_play_that_names_most_is_taken(more, taken):
    plays = [_play("plain"), *(_play(f"other{n}", **one) for n, one in enumerate(more))]
    assert choose_play(Playbook(play=tuple(plays)), CASE).name == taken


def test_a_family_without_a_play_that_always_fits_is_refused_by_name(tmp_path):
    book = Playbook(play=(_play("only_when_high", bands=("high",)),))
    with pytest.raises(ConfigError, match="'support' has no play that always fits"):
        validate_playbook(book, tmp_path / "p.toml", ["support"])


def test_a_play_that_names_no_signal_of_ours_is_refused(tmp_path):
    book = Playbook(play=(*BOOK.play, _play("odd", signals=("open_tickts",))))
    with pytest.raises(ConfigError, match="'odd' names 'open_tickts'"):
        validate_playbook(book, tmp_path / "p.toml", ["support"], ["open_tickets"])


@pytest.mark.parametrize(
    ("text", "why"),
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
def test_a_playbook_that_cannot_be_understood_is_refused(tmp_path, text, why):
    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(ConfigError, match=why):
        read_playbook(tmp_path / "p.toml")


def test_a_suggestion_says_what_to_do_and_why():
    found = suggest_play(BOOK, _score(), AccountDetails("a"), FREE)
    assert found == {
        "play": "escalation_desk",
        "family": "support",
        "does": "Do what helps.",
        "who": "support",
        "suggested": True,
        "why_not": None,
        "because": "support: open tickets: 7 adds 10.0 points",
    }


def test_an_account_whose_risk_nothing_raises_has_no_play():
    assert suggest_play(BOOK, {**_score(), "drivers": []}, AccountDetails("a"), FREE) is None


@pytest.mark.parametrize(
    ("days", "held_out", "play", "why_not"),
    [
        (13, False, "escalation_desk", "in_cooldown"),
        (14, False, "escalation_desk", None),
        (13, False, "another", None),
        (13, True, "another", "held_out"),
        (14, True, "another", None),
    ],
)
def test_a_play_rests_for_its_cooldown(days, held_out, play, why_not):
    about = AccountDetails("a", play=play, play_at=AS_OF - timedelta(days=days), held_out=held_out)
    assert _why_not(about) == why_not


@pytest.mark.parametrize(("days", "why_not"), [(0, "already_touched"), (6.9, "already_touched"), (7, None)])
def test_an_account_is_left_alone_after_a_touch(days, why_not):
    assert _why_not(AccountDetails("a", touched_at=AS_OF - timedelta(days=days))) == why_not


def test_nobody_is_contacted_without_a_reason():
    assert _why_not(AccountDetails("a"), _score(band="low")) == "low_risk"


def test_people_have_the_last_word():
    busy = AccountDetails("a", touched_at=AS_OF)
    assert _why_not(busy, restraint=replace(FREE, marked="do_not_chase")) == "do_not_chase"
    assert _why_not(AccountDetails("a"), restraint=replace(FREE, marked="saved_watch")) is None


def test_a_suppressed_play_says_so():
    assert _why_not(AccountDetails("a"), book=Playbook(play=(_play("never", suppressed="no use"),))) == "suppressed"
