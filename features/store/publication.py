"""The publication note: what is online now, read without opening any other file."""

from datetime import datetime
from pathlib import Path
from typing import TypedDict, cast

from configs.errors import NotReady
from configs.files import read_json
from configs.state_dir import StateDir


class ViewColumns(TypedDict):
    """The signals of one view in the order of its packed rows: numbers and categories apart."""

    view: str
    numbers: list[str]
    categories: list[str]


class Publication(TypedDict):
    """What a publish put online: the day, the history and its content, the signals, and the settings of the stages."""

    as_of: str
    history: str
    content_version: str
    signal_set: str
    signals: list[str]
    views: list[ViewColumns]
    stages: dict[str, int]


def read_publication(state: StateDir) -> Publication:
    """What was published last; raises NotReady if nothing was."""
    try:
        return cast(Publication, read_json(state.publication))
    except FileNotFoundError:
        raise NotReady("Nothing has been published yet.", "Run `oarlock publish`.") from None


def published_as_of(state: StateDir) -> datetime:
    """The day whose signals are online; raises NotReady if nothing was published."""
    return datetime.fromisoformat(read_publication(state)["as_of"])


def published_history_folder(state: StateDir) -> Path:
    """The history that was published last; raises NotReady if nothing was."""
    return state.history / read_publication(state)["history"]
