"""Compiles the algorithm of the driver kernel to a file of machine code that runs without Python and numba.

Numba's compiler takes 186 MB of a process and 4 seconds of its CPU; the file takes 10 MB and 0.04 seconds. So it is
compiled once per machine and version, in a process of its own. With a linker the file is a library, which is loaded
without LLVM, else an object file.
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
from serving.treeshap.kernel import COUNTS, ENTRY, LIBRARY, OBJECT, POINTER_TYPES
from serving.treeshap.llvm import target_machine

LINKERS = ("ld", "cc")


def compile_walk(file: Path) -> Path:
    """Write the machine code for exactly this processor, as a whole or not at all; `file` gets its suffix."""
    pointers = [types.CPointer(numba.from_dtype(np.dtype(name))) for name in POINTER_TYPES]
    signature = types.void(*pointers, *[types.int64] * COUNTS)
    module = _standalone(numba.cfunc(signature, error_model="numpy")(walk))
    for linker in filter(None, map(shutil.which, LINKERS)):
        if link(module, linker, library := file.with_name(file.name + LIBRARY)):
            return library
    object_file = file.with_name(file.name + OBJECT)
    with atomic_write(object_file) as temporary:
        temporary.write_bytes(target_machine(is_jit=True).emit_object(module))
    return object_file


def link(module: llvm.ModuleRef, linker: str, library: Path) -> bool:
    """Link a library of the module; False, and no file, if the linker fails or the library cannot be loaded."""
    library.parent.mkdir(parents=True, exist_ok=True)
    object_file, linked = (library.with_name(f"{library.name}.{os.getpid()}{suffix}") for suffix in (OBJECT, LIBRARY))
    try:
        object_file.write_bytes(target_machine(is_jit=False).emit_object(module))
        subprocess.run([linker, "-shared", "-o", str(linked), str(object_file)], check=True, stdout=sys.stderr)
        ctypes.CDLL(str(linked))
        with linked.open("rb") as file:
            os.fsync(file.fileno())
        linked.replace(library)
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"{linker} cannot link a library: {error}", file=sys.stderr)  # noqa: T201
        return False
    finally:
        for temporary in (object_file, linked):
            temporary.unlink(missing_ok=True)
    return True


def _standalone(compiled: Any) -> llvm.ModuleRef:
    """The function without the wrapper that reports exceptions to Python: it raises none."""
    module = llvm.parse_assembly(compiled.inspect_llvm())
    name = compiled.native_name.removeprefix("cfunc.")
    for function in module.functions:
        if not function.is_declaration and function.name != name:
            function.linkage = llvm.Linkage.internal
    module.get_function(name).name = ENTRY
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(module, llvm.create_pass_builder(target_machine(is_jit=True), llvm.create_pipeline_tuning_options()))
    return module


if __name__ == "__main__":
    sys.stdout.write(str(compile_walk(Path(sys.argv[1]))))
