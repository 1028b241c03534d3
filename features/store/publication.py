"""Published: the note of what is online, read without opening anything else."""

from datetime import datetime
from pathlib import Path
from typing import Any

from configs.errors import NotReady
from configs.files import read_json
from configs.state_dir import StateDir
from features.compute.fingerprints import signal_set
from features.signals.registry import catalogue
from features.store.history import (
    Edition,
)


def published_note(state: StateDir) -> dict[str, Any]:
    """What was published last; raises NotReady where nothing was."""
    try:
        return read_json(state.publication)
    except FileNotFoundError:
        raise NotReady("Nothing has been published yet.", "Run `oarlock publish`.") from None


def published_as_of(state: StateDir) -> datetime:
    """The day whose signals are online; raises NotReady where nothing was published."""
    return datetime.fromisoformat(published_note(state)["as_of"])


def edition_folder(state: StateDir) -> Path:
    """The history of what was published last; raises NotReady where nothing was."""
    return state.history / published_note(state)["edition"]


def published_edition(state: StateDir) -> tuple[Edition, datetime]:
    """The edition that was last published and its as_of; raises NotReady where nothing was."""
    note = published_note(state)
    signals = tuple(one for one in catalogue() if one.name in note["signals"])
    if signal_set(signals) != note["signal_set"]:
        raise NotReady("The signals have changed since they were last published.", "Run `oarlock publish`.")
    return Edition(state.history / note["edition"], signals), datetime.fromisoformat(note["as_of"])
