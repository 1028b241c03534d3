"""A state folder for a dry run: it reads the real one through links, and what it writes is its own.

Opening a state writes to it: a bundle of another release is built anew, the kernel is compiled, MLflow migrates its
database. Here all of that happens beside the real folder.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from configs.files import write_json
from configs.state_dir import StateDir
from serving.backup.ledger_copy import copy_sqlite
from serving.scoring.champion_pointer import bundle_folder, read_pointer
from serving.scoring.model_bundle import make_bundle, save_bundle
from serving.treeshap.kernel import Kernel
from training.registry.mlflow_registry import DATABASE, open_registry


def open_scratch_state(state: StateDir, scratch: Path, model_name: str) -> StateDir:
    """A state folder in an empty folder, which has the champion's bundle as this release builds it.

    Raises NoChampion if no version was promoted, PromotionRefused for a bundle that does not give its model's risks.
    """
    copy = StateDir(scratch / state.folder.name, state.stores)
    copy.folder.mkdir()
    own = {copy.bundles, copy.compiled_kernels, copy.mlflow, copy.champion_pointer}
    for path in _current_files(state):
        if copy.folder / path.name not in own:
            (copy.folder / path.name).symlink_to(path)
    for folder in (state.bundles, state.compiled_kernels, state.mlflow):
        _link_files(folder, copy.folder / folder.name)
    _copy_champion(state, copy, model_name)
    return copy


def _current_files(state: StateDir) -> Iterator[Path]:
    """What is in the folder, without the ledger, of which there is a copy, and its log."""
    for path in state.folder.resolve().iterdir():
        if not path.name.startswith(state.ledger.name) and path != state.write_ahead_log:
            yield path


def _link_files(folder: Path, copy: Path) -> None:
    """A folder of links to what is in another one, but with a copy of MLflow's database."""
    copy.mkdir()
    for path in folder.resolve().iterdir() if folder.exists() else ():
        if path.name == DATABASE:
            copy_sqlite(path, copy / DATABASE)
        elif not path.name.startswith(DATABASE):
            (copy / path.name).symlink_to(path)


def _copy_champion(state: StateDir, copy: StateDir, model_name: str) -> None:
    """Point to the champion as the real state does, with a bundle of this release."""
    pointer = read_pointer(state)
    shutil.copyfile(state.champion_pointer, copy.champion_pointer)
    folder = bundle_folder(copy, pointer.version.number)
    if folder.exists():
        return
    model = open_registry(copy, model_name).load_model(pointer.version)
    save_bundle(make_bundle(model, Kernel(copy.compiled_kernels)), folder)
    write_json(copy.champion_pointer, {"version": vars(pointer.version), "folder": folder.name})
