"""Machine code by LLVM: for this very processor, and loaded by LLVM itself where the system links no library of it."""

from pathlib import Path

import llvmlite.binding as llvm


def target_machine(*, at_once: bool) -> llvm.TargetMachine:
    """LLVM's description of the processor this runs on, for code that is loaded `at_once` or linked first."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target, features = llvm.Target.from_default_triple(), llvm.get_host_cpu_features().flatten()
    model = "jitdefault" if at_once else "default"
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3, reloc="pic", codemodel=model, jit=at_once
    )


def loaded(file: Path, entry: str) -> tuple[int, llvm.ExecutionEngine]:
    """Where a function of an object file was loaded to, and the engine that keeps its memory as long as it is held."""
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target_machine(at_once=True))
    engine.add_object_file(llvm.ObjectFileRef.from_data(file.read_bytes()))
    engine.finalize_object()
    return engine.get_function_address(entry), engine
