"""Which of a repository's models suits a machine best."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from llamaedge_host.ggml.llama import split

from ..errors import LauncherError
from ..machine import Machine
from .reference import HubModel
from .sizes import size_text
from .variants import Variant

GPU_SHARE = 0.95
MEMORY_SHARE = 0.8
"""How much of a memory a model may take; the rest is the system's."""
OVERHEAD = 1.1
ROOM = 500_000_000
"""What is added to a model's size for the context and buffers: a factor, and bytes."""
QUICK = 2_000_000_000
"""Bytes of a model that a CPU reads fast enough at more than 4 bits a weight."""
_PLAIN = {"Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M", "Q2_K"}
"""What is taken of several with as many bits, before the largest."""
_CPU_BITS, _GPU_BITS = 4, 8


def best(model: HubModel, offered: Sequence[Variant], machine: Machine) -> tuple[Variant, str]:
    """The one of ``offered`` that suits ``machine``, and why.

    As many bits a weight as fit, up to 8, more gain nothing; on a CPU, whose speed goes by the
    size, up to 4 unless the model is small. Raises LauncherError if none fits.
    """
    where, room = _room(machine)
    fitting = [each for each in offered if needed(each) <= room]
    if not fitting:
        least = min(offered, key=lambda each: each.size)
        raise LauncherError(
            f"no model of {model.repo} fits {where}: the smallest, {least}, takes"
            f" {size_text(needed(least))}; name it to pull it nevertheless:"
            f" {model.repo}:{least.label or least.name}"
        )
    useful = [each for each in fitting if _is_useful(each, machine)]
    if useful:
        found = max(useful, key=_quality)
    else:
        found = min(fitting, key=lambda each: (_bits(each), each.size))
    same = [each for each in fitting if each.label == found.label]
    if len(same) > 1 and len({each.label for each in offered}) < len(offered):
        names = " or ".join(f"{model.repo}:{each.name}" for each in same)
        raise LauncherError(f"{model.repo} holds several models; name {names}")
    if len(offered) == 1:
        return found, f"{found}: the only model there"
    return found, f"{found}: the best of {len(offered)} for {where}"


def _quality(variant: Variant) -> tuple[int, bool, bool, int]:
    """Of two with as many bits, a k-quant loses less than one of the older kind."""
    label = variant.label
    return _bits(variant), label in _PLAIN, "_K" in label or "IQ" in label, variant.size


def needed(variant: Variant) -> int:
    """Bytes that ``variant`` takes when it runs, with a context of usual size."""
    return _needed(variant.size)


def needed_for(files: Iterable[Path]) -> int:
    """As needed(), for models and projectors that are here, each named by its first file."""
    return _needed(size_of(files))


def size_of(files: Iterable[Path]) -> int:
    """Bytes of models, each named by its first file."""
    parts = [part for file in files for part in split.paths(file)]
    return sum(part.stat().st_size for part in parts if part.exists())


def free(machine: Machine) -> int:
    """Bytes of memory that models may take now, of the GPUs if there are some."""
    return sum(gpu.free for gpu in machine.gpus) if machine.gpus else machine.available


def _needed(size: int) -> int:
    return int(size * OVERHEAD) + ROOM


def _room(machine: Machine) -> tuple[str, int]:
    if machine.gpus:
        total = sum(gpu.total for gpu in machine.gpus)
        names = ", ".join(gpu.description for gpu in machine.gpus)
        return f"{names} with {size_text(total)}", int(total * GPU_SHARE)
    return f"a CPU with {size_text(machine.total)} of memory", int(machine.total * MEMORY_SHARE)


def _is_useful(variant: Variant, machine: Machine) -> bool:
    quick = machine.gpus or variant.size <= QUICK
    return _bits(variant) <= (_GPU_BITS if quick else _CPU_BITS)


def _bits(variant: Variant) -> int:
    """Bits a weight, by the label; 8 where it does not tell."""
    found = re.search(r"\d+", variant.label)
    return int(found[0]) if found else _GPU_BITS
