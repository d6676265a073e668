"""llama.cpp's build, the CPU's features, devices and memory."""

import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from .. import machine
from ..machine import Machine
from ..models.sizes import size_text
from .finding import Finding, State

LITTLE = 2_000_000_000
"""Bytes of memory with which only the smallest models run."""
_FEATURES = {
    "avx": "AVX", "avx2": "AVX2", "f16c": "F16C", "fma": "FMA", "bmi2": "BMI2",
    "avx512f": "AVX512", "avx512_vnni": "AVX512_VNNI", "avx512_bf16": "AVX512_BF16",
    "avx_vnni": "AVX_VNNI", "amx_int8": "AMX_INT8",
    "asimddp": "DOTPROD", "i8mm": "MATMUL_INT8", "sve": "SVE",
}  # fmt: skip
"""Of /proc/cpuinfo, and what llama.cpp calls them."""
_CARDS = (
    (Path("/dev/nvidia0"), "an NVIDIA GPU", "-DGGML_CUDA=on", "the CUDA toolkit's nvcc"),
    (Path("/dev/kfd"), "an AMD GPU", "-DGGML_HIP=on", "ROCm's hipcc"),
)
_SOUND = "-DCMAKE_CXX_FLAGS=-fno-dse"
"""With this a gcc before 12.4 and 13.3 compiles llama.cpp's kernels for AMX as they are meant."""
_CPUINFO = Path("/proc/cpuinfo")


def findings() -> Iterator[Finding]:
    """llama.cpp is asked in a process of its own."""
    found = machine.look()
    yield _build(found)
    if found.problem:
        return
    yield _cpu(found)
    yield from _devices(found)
    yield _memory(found)


def rebuild(options: str = "") -> str:
    """The command that compiles llama.cpp again, for the machine where it is given."""
    arguments = f"CMAKE_ARGS='{options}' " if options else ""
    package = f"llama-cpp-python=={version('llama-cpp-python')}"
    return (
        f"{arguments}pip install --force-reinstall --no-deps --no-cache-dir"
        f" --no-binary llama-cpp-python {package}"
    )


def _build(found: Machine) -> Finding:
    if found.problem:
        return Finding("llama.cpp", found.problem, State.WRONG, rebuild())
    name, _, _ = found.build.partition(",")
    return Finding("llama.cpp", f"{name}, llama-cpp-python {version('llama-cpp-python')}")


def _cpu(found: Machine) -> Finding:
    used = set(re.findall(r"(\w+) = 1", found.build))
    name = next((each.description for each in found.devices if each.kind == "CPU"), "CPU")
    text = f"{name}, {found.cpus} CPUs; llama.cpp uses {', '.join(sorted(used)) or 'no features'}"
    if not found.amx:
        return Finding(
            "CPU", f"{text}, but AMX fails as it was compiled", State.NOTE, rebuild(_SOUND)
        )
    unused = {_FEATURES[flag] for flag in _flags() & _FEATURES.keys()} - used
    if unused:
        missing = f"{text}, but not {', '.join(sorted(unused))}: it was compiled for another CPU"
        return Finding("CPU", missing, State.NOTE, rebuild())
    return Finding("CPU", text)


def _flags() -> set[str]:
    try:
        text = _CPUINFO.read_text()
    except OSError:
        return set()
    line = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return set(line[1].split()) if line else set()


def _devices(found: Machine) -> Iterator[Finding]:
    others = [each for each in found.devices if each.kind not in ("CPU", "accelerator")]
    for each in others:
        memory = f"{size_text(each.total)}, {size_text(each.free)} free"
        yield Finding(each.kind, f"{each.name}: {each.description}, {memory}")
    if others:
        return
    for device, name, option, needed in _CARDS:
        if device.exists():
            text = f"{name} is here, but llama.cpp is compiled without it; compiling needs {needed}"
            yield Finding("GPU", text, State.NOTE, rebuild(option))
            return
    yield Finding("GPU", "none; models run on the CPU")


def _memory(found: Machine) -> Finding:
    taken = "as it is used" if found.on_use else "at once, all of it"
    text = (
        f"{size_text(found.available)} of {size_text(found.total)} are free; a KV cache takes its"
        f" memory {taken}"
    )
    if found.available < LITTLE:
        cure = "end other programs, or take a model of fewer bits: llamaedge pull ORG/REPO:Q3_K_M"
        return Finding("memory", text, State.NOTE, cure)
    return Finding("memory", text)
