"""What people read from commands: no text from outside steers a terminal, and durations mean what they say."""

import time
from datetime import timedelta

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.keys import Duration
from cli.output import printable
from cli.terminal.progress import progress_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zürich, 東京 │ +3 %", "Zürich, 東京 │ +3 %"),
        ("two\nlines", "two\nlines"),
        ("Acme\x1b[2J", "Acme\\x1b[2J"),
        ("bell\a, tab\t, nul\0", "bell\\x07, tab\\t, nul\\x00"),
        ("right\u202eleft", "right\\u202eleft"),
    ],
)
def test_a_text_is_written_without_commands_to_the_terminal(text: str, shown: str):
    assert printable(text) == shown


@given(st.text())
def test_nothing_but_line_breaks_is_left(text: str):
    assert printable(text).replace("\n", "").isprintable()


@pytest.mark.parametrize(("text", "meaning"), [("90d", timedelta(days=90)), ("1h", timedelta(hours=1))])
def test_a_duration_is_days_or_hours(text: str, meaning: timedelta):
    assert Duration().convert(text, None, None) == meaning


@pytest.mark.parametrize("text", ["0d", "0h", "-1d", "3651d", "99999999999d", "1w", ""])
def test_a_key_that_never_expires_is_not_made_by_mistake(text: str):
    with pytest.raises(click.BadParameter):
        Duration().convert(text, None, None)


def test_work_without_a_terminal_prints_a_line_now_and_then(capsys):
    with progress_lines("Publishing", seconds=0.01) as progress:
        progress("signals of 2024-01-01", 3, 12)
        printed, deadline = "", time.monotonic() + 5
        while "3 of 12" not in printed and time.monotonic() < deadline:
            printed += capsys.readouterr().err
    assert "Publishing: signals of 2024-01-01, 3 of 12" in printed.splitlines()
