"""What this machine computes with, as a process of its own finds out.

llama.cpp and its drivers are loaded there: a broken one can end the process that asks it.
"""

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

COMMAND = (sys.executable, "-P", "-m", "llamaedge_launcher.machine")
_SECONDS = 60.0
_GPU = "GPU"


@dataclass(frozen=True)
class Device:
    """A device of llama.cpp's; ``kind`` is ggml's word for it, memory is in bytes."""

    name: str
    description: str
    kind: str
    free: int
    total: int


@dataclass(frozen=True)
class Machine:
    """``build`` is llama.cpp's; memory in bytes, of the machine or the container.

    ``problem`` says why llama.cpp cannot be loaded, and is "" if it can. ``on_use`` says that a KV
    cache takes its memory as it is used; ``amx`` is False if what llama.cpp has for AMX fails here.
    """

    build: str
    devices: tuple[Device, ...]
    cpus: int
    total: int
    available: int
    problem: str = ""
    on_use: bool = False
    amx: bool = True

    @property
    def gpus(self) -> tuple[Device, ...]:
        """The devices with a memory of their own."""
        return tuple(device for device in self.devices if device.kind == _GPU)


def look() -> Machine:
    """Ask llama.cpp. Blocks for about a second."""
    try:
        done = subprocess.run(
            COMMAND, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        return _broken(f"llama.cpp's drivers do not answer within {_SECONDS:.0f} s")
    if done.returncode:
        return _broken(_end(done.returncode, done.stderr))
    fields: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    fields["devices"] = tuple(Device(**each) for each in fields["devices"])
    return Machine(**fields)


def total_memory() -> int:
    """Bytes of the machine's memory, cut by the cgroup's limit."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return pages
    return min(pages, int(limit)) if limit.isdigit() else pages


def _broken(problem: str) -> Machine:
    return Machine("", (), os.cpu_count() or 1, total_memory(), 0, problem)


def _end(code: int, errors: str) -> str:
    last = errors.strip().splitlines()[-1:] or [""]
    if code < 0:
        return f"llama.cpp ended its process by {signal.Signals(-code).name} {last[0]}".strip()
    return f"llama.cpp cannot be loaded: {last[0]}"


def _main() -> None:
    from llamaedge_host.ggml.llama import amx
    from llamaedge_host.ggml.llama.devices import devices
    from llamaedge_host.ggml.llama.library import build, cpus
    from llamaedge_host.ggml.llama.memory import available_memory
    from llamaedge_host.ggml.llama.zeroing import ON_USE

    found = Machine(
        build(),
        tuple(Device(**asdict(each)) for each in devices()),
        cpus(),
        total_memory(),
        available_memory(),
        on_use=ON_USE,
        amx=amx.works(),
    )
    sys.stdout.write(f"\n{json.dumps(asdict(found))}\n")


if __name__ == "__main__":
    _main()
