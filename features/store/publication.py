"""The publication note: what is online now, read without opening any other file."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, NotRequired

from pydantic import AfterValidator
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from configs.errors import NotReady
from configs.state_dir import StateDir
from configs.stored_files import read_stored

REPUBLISH = "Run `oarlock publish`: it writes the file anew."


def _require_instant(text: str) -> str:
    datetime.fromisoformat(text)
    return text


InstantText = Annotated[str, AfterValidator(_require_instant)]


class ViewColumns(TypedDict):
    """The signals of one view in the order of its packed rows: numbers and categories apart."""

    view: str
    numbers: list[str]
    categories: list[str]


class Publication(TypedDict):
    """What a publish put online: the day, the history and its content, the signals, and the settings of the stages.

    `windows` is how many days each signal looks back, 0 for one without a window; a note of an older release has none.
    `currency` is that of the amounts, None if the data set declares none.
    """

    as_of: InstantText
    history: str
    content_version: str
    signal_set: str
    signals: list[str]
    views: list[ViewColumns]
    stages: dict[str, int]
    windows: NotRequired[list[int]]
    currency: NotRequired[str | None]


def read_publication(state: StateDir) -> Publication:
    """What was published last; raises NotReady if nothing was, DamagedState if the note cannot be read."""
    try:
        return read_stored(state.publication, Publication, REPUBLISH)
    except FileNotFoundError:
        raise NotReady("Nothing has been published yet.", "Run `oarlock publish`.") from None


def find_publication(state: StateDir) -> Publication | None:
    """What was published last; None if nothing was, or if the note cannot be read and has to be written anew."""
    try:
        return read_publication(state)
    except NotReady:
        return None


def published_windows(publication: Publication) -> list[int]:
    """How many days each published signal looks back; raises NotReady for a note of an older release."""
    windows = publication.get("windows")
    if windows is None:
        raise NotReady("An older release published the signals.", "Run `oarlock publish`.")
    return windows


def published_as_of(state: StateDir) -> datetime:
    """The day whose signals are online; raises NotReady if nothing was published."""
    return datetime.fromisoformat(read_publication(state)["as_of"])


def recompute_hint(as_of: datetime) -> str:
    """How to compute a damaged day again."""
    day = f"{as_of:%Y-%m-%d}"
    return f"Run `oarlock publish --backfill-from {day} --backfill-to {day}`: it computes the day again."


def published_history_folder(state: StateDir) -> Path:
    """The history that was published last; raises NotReady if nothing was."""
    return state.history / read_publication(state)["history"]
