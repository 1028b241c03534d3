"""Machine code by LLVM: for this processor, and loaded by LLVM itself if the machine has no linker."""

from pathlib import Path

import llvmlite.binding as llvm


def target_machine(*, is_jit: bool) -> llvm.TargetMachine:
    """LLVM's description of this processor, for code that is loaded at once (`is_jit`) or linked first."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target, features = llvm.Target.from_default_triple(), llvm.get_host_cpu_features().flatten()
    model = "jitdefault" if is_jit else "default"
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3, reloc="pic", codemodel=model, jit=is_jit
    )


def load_object(file: Path, entry: str) -> tuple[int, llvm.ExecutionEngine]:
    """The address of a function of an object file, and the engine that owns its memory."""
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target_machine(is_jit=True))
    engine.add_object_file(llvm.ObjectFileRef.from_data(file.read_bytes()))
    engine.finalize_object()
    return engine.get_function_address(entry), engine
