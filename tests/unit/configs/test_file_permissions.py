"""What Oarlock writes can be read by its owner only."""

import os
import stat
from pathlib import Path

import pytest

from configs.files import atomic_write
from configs.sections.publishing import DataSettings
from configs.settings import Settings
from configs.state_dir import open_state_dir


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(name="acme", state=tmp_path / "state", data=DataSettings(dataset=tmp_path / "mapping.toml"))


def test_the_state_folder_is_private(settings: Settings):
    assert mode(open_state_dir(settings).folder) == 0o700


def test_a_state_folder_that_others_could_read_is_made_private(settings: Settings):
    folder = open_state_dir(settings).folder
    folder.chmod(0o755)
    open_state_dir(settings)
    assert mode(folder) == 0o700


@pytest.mark.parametrize("permissions", [0o600, 0o640, 0o644])
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path: Path, permissions: int):
    file = tmp_path / "export.csv"
    file.write_text("old")
    file.chmod(permissions)
    with atomic_write(file) as temporary:
        temporary.write_text("new")
    assert (file.read_text(), mode(file)) == ("new", permissions)


def test_a_new_file_follows_the_mask_of_the_process(tmp_path: Path):
    before = os.umask(0o077)
    try:
        with atomic_write(tmp_path / "new.json") as temporary:
            temporary.write_text("{}")
    finally:
        os.umask(before)
    assert mode(tmp_path / "new.json") == 0o600
