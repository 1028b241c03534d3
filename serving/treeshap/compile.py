"""Compiling: the walks of the driver kernel as a file of machine code that runs without Python and numba.

Numba's compiler takes more than 100 MB of a process and seconds of its time. It runs here, in a process of its own,
once per machine and version of the walks; whoever serves loads the file. Where the system has a linker it is a library,
which is loaded without LLVM, else an object file.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
from numba import types

from configs.files import atomic_write
from serving.treeshap.algorithm import walk
from serving.treeshap.kernel import COUNTS, ENTRY, LIBRARY, OBJECT, POINTERS
from serving.treeshap.llvm import target_machine

LINKERS = ("ld", "cc")


def compile_walks(file: Path) -> Path:
    """Write the machine code of `walk` for this very processor, whole or not at all; `file` is given its ending."""
    kinds = [types.CPointer(numba.from_dtype(np.dtype(kind))) for kind in POINTERS]
    module = _alone(numba.cfunc(types.void(*kinds, *[types.int64] * COUNTS), error_model="numpy")(walk))
    for linker in filter(None, map(shutil.which, LINKERS)):
        if linked(module, linker, library := file.with_name(file.name + LIBRARY)):
            return library
    made = file.with_name(file.name + OBJECT)
    with atomic_write(made) as temporary:
        temporary.write_bytes(target_machine(at_once=True).emit_object(module))
    return made


def linked(module: llvm.ModuleRef, linker: str, library: Path) -> bool:
    """Whether this linker made a library of the module that loads; there is no file where it did not."""
    library.parent.mkdir(parents=True, exist_ok=True)
    unlinked, temporary = (library.with_name(f"{library.name}.{os.getpid()}{ending}") for ending in (OBJECT, LIBRARY))
    try:
        unlinked.write_bytes(target_machine(at_once=False).emit_object(module))
        subprocess.run([linker, "-shared", "-o", str(temporary), str(unlinked)], check=True, stdout=sys.stderr)
        ctypes.CDLL(str(temporary))
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(library)
    except (subprocess.CalledProcessError, OSError) as problem:
        print(f"{linker} links no library here: {problem}", file=sys.stderr)  # noqa: T201
        return False
    finally:
        for one in (unlinked, temporary):
            one.unlink(missing_ok=True)
    return True


def _alone(compiled: Any) -> llvm.ModuleRef:
    """The function without the wrapper that reports exceptions to Python: the walks raise none."""
    module = llvm.parse_assembly(compiled.inspect_llvm())
    name = compiled.native_name.removeprefix("cfunc.")
    for function in module.functions:
        if not function.is_declaration and function.name != name:
            function.linkage = llvm.Linkage.internal
    module.get_function(name).name = ENTRY
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(module, llvm.create_pass_builder(target_machine(at_once=True), llvm.create_pipeline_tuning_options()))
    return module


if __name__ == "__main__":
    sys.stdout.write(str(compile_walks(Path(sys.argv[1]))))
