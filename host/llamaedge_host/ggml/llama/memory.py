"""Memory: what the computer and its GPUs have free, and what a model's weights take of it."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from .devices import devices
from .gguf import Gguf, Tensor

GPUS = ("GPU", "integrated GPU")
"""Kinds of devices that weights may lie on; the second serves where there is none of the first."""
RPC = "RPC"
"""What the names of other machines' devices begin with, which all count as GPUs."""
UNTOLD = 1 << 62
"""Bytes that count as free on a device that does not say how many are."""
_BLOCK = re.compile(r"blk\.(\d+)\.")
_EXPERTS = re.compile(r"blk\.(\d+)\.ffn_(up|down|gate)_exps")
CGROUP = Path("/sys/fs/cgroup")
_CGROUPS = (
    ("memory.max", "memory.current", ("inactive_file", "active_file")),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        ("total_inactive_file", "total_active_file"),
    ),
)
"""Of version 2 and 1: the limit, what is used, and what of that are files that can give way."""


def gpu_free(only: int | None) -> int | None:
    """Bytes that are free on the GPUs together, or on the one numbered ``only``.

    None without a GPU, where a build for GPUs computes on the processor.
    """
    free = _free_of_gpus()
    if not free:
        return None
    return sum(free if only is None else free[only : only + 1])


def gpu_count() -> int:
    """GPUs that weights may lie on."""
    return len(_free_of_gpus())


def all_here() -> bool:
    """Whether every GPU that weights may lie on is this machine's, and there is one."""
    found = [device for device in devices() if device.kind in GPUS]
    return bool(found) and not any(device.name.startswith(RPC) for device in found)


def _free_of_gpus() -> list[int]:
    known = devices()
    for kind in GPUS:
        if free := [
            device.free if device.total else UNTOLD for device in known if device.kind == kind
        ]:
            return free
    return []


def available_memory() -> int:
    """Bytes that may still be used: the computer's, cut by the limit of its cgroup."""
    free = _pages() * os.sysconf("SC_PAGE_SIZE")
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) * 1024
    return max(min([free, *_cgroups_free()]), 0)


def lacking(size: int, *, gpu: bool) -> str:
    """Why there is no place for ``size`` bytes of weights, "" if there is."""
    there = gpu_free(None) if gpu else None
    free = available_memory() if there is None else there
    where = "of memory" if there is None else "on the GPU"
    if size <= free:
        return ""
    return f"its weights take {shown(size)}, and {shown(free)} {where} are free"


def _pages() -> int:
    known = "SC_AVPHYS_PAGES" in os.sysconf_names
    return os.sysconf("SC_AVPHYS_PAGES" if known else "SC_PHYS_PAGES")


def _cgroups_free() -> Iterable[int]:
    for limit, used, files in _CGROUPS:
        most, now = "".join(_lines(CGROUP / limit)), "".join(_lines(CGROUP / used))
        if most.isdigit() and now.isdigit():
            numbers = dict(
                line.split() for line in _lines((CGROUP / limit).with_name("memory.stat"))
            )
            yield int(most) - int(now) + sum(int(numbers.get(name, 0)) for name in files)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def weights(
    header: Gguf, gpu_layers: int, cpu_experts: int, tensors: Sequence[Tensor] | None = None
) -> tuple[int, int]:
    """Bytes of a model's weights, or of ``tensors`` beside them, in the computer's memory and on
    the GPUs.

    ``gpu_layers`` counts from the last one, which is the output; the experts of the first
    ``cpu_experts`` layers stay with the computer, as the input does.
    """
    output = header.integer("block_count")
    first = first_on_gpu(header, gpu_layers)
    found = header.tensors if tensors is None else tensors
    there = sum(tensor.size for tensor in found if _layer(tensor, output, cpu_experts) >= first)
    return sum(tensor.size for tensor in found) - there, there


def first_on_gpu(header: Gguf, gpu_layers: int) -> int:
    """The first layer that lies on the GPU if ``gpu_layers`` do, the output among them."""
    return max(header.integer("block_count") + 1 - gpu_layers, 0)


def _layer(tensor: Tensor, output: int, cpu_experts: int) -> int:
    """The layer that ``tensor`` goes with; below 0 for what stays with the computer."""
    if (expert := _EXPERTS.match(tensor.name)) and int(expert[1]) < cpu_experts:
        return -1
    if block := _BLOCK.match(tensor.name):
        return int(block[1])
    return output if tensor.name.startswith("output") else -1


def shown(size: int) -> str:
    """``size`` bytes as people write them."""
    for power, unit in ((9, "GB"), (6, "MB")):
        if size >= 10**power:
            return f"{size / 10**power:.1f} {unit}"
    return f"{size / 1000:.0f} kB"
