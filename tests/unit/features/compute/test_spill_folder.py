"""A folder for what does not fit into memory belongs to one connection, and nothing of it is left."""

import stat
import subprocess
import sys
from pathlib import Path

from configs.sections.publishing import EngineSettings
from features.compute.backends.duckdb import open_duckdb
from features.compute.backends.spill_folder import make_spill_folder

KILLED = """
import os, signal, sys
from pathlib import Path
from features.compute.backends.spill_folder import make_spill_folder
class Owner: pass
owner = Owner()
(make_spill_folder(Path(sys.argv[1]), owner) / "rows").write_text("left")
os.kill(os.getpid(), signal.SIGKILL)
"""


class Owner:
    """Whatever a folder belongs to."""


def folders(parent: Path) -> list[Path]:
    return [path for path in parent.iterdir() if path.is_dir()]


def test_each_connection_has_a_private_folder_of_its_own(tmp_path: Path):
    owners = [Owner(), Owner()]
    first, second = (make_spill_folder(tmp_path, owner) for owner in owners)
    assert first != second
    assert [stat.S_IMODE(path.stat().st_mode) for path in (first, second)] == [0o700, 0o700]


def test_it_is_removed_with_its_owner(tmp_path: Path):
    owner = Owner()
    make_spill_folder(tmp_path, owner)
    del owner
    assert folders(tmp_path) == []


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_uses_stays(tmp_path: Path):
    living = Owner()
    used = make_spill_folder(tmp_path, living)
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert len(folders(tmp_path)) == 2
    last = Owner()
    assert {used, make_spill_folder(tmp_path, last)} == set(folders(tmp_path))


def test_a_query_spills_there(tmp_path: Path):
    backend = open_duckdb(EngineSettings(threads=1), tmp_path)
    (folder,) = folders(tmp_path)
    assert backend.connection.raw_sql("select current_setting('temp_directory')").fetchone() == (str(folder),)
