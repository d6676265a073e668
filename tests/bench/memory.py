"""What servers take of memory, part by part: when they have started, and after 8 conversations.

Resident pages, those of several processes counted once (Pss). ``like`` is as many slots of the
same context; ``default`` what each server does unasked: llama.cpp's own program has 4 slots that
share one context of the model's.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from peers import OURS, SLOTS, XLLAMACPP, Peer, peers, rate
from report import Report
from server import Server

_REGION = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+ *(.*)$")
_LARGE = 32 << 20
"""Bytes from which anonymous regions are counted as llama.cpp's caches and buffers."""
_ASKED = "params.n_parallel, params.n_ctx = slots, slots * context"
_UNASKED = "params.n_parallel, params.kv_unified = 4, True"
assert _ASKED in XLLAMACPP
MODEL, REST = "the model's file", "everything else"
CACHE = "cache and buffers, and weights in memory of their own"


def family(pid: int) -> list[int]:
    """``pid`` and the processes that it started, and these."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in family(int(child)))]


def _regions(pid: int) -> Iterator[tuple[str, int]]:
    """The part that each region of a process is of, and its resident bytes."""
    part = REST
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if found := _REGION.match(line):
            size = int(found[2], 16) - int(found[1], 16)
            large = CACHE if size >= _LARGE and not found[3] else REST
            part = MODEL if found[3].endswith(".gguf") else large
        elif line.startswith("Pss:"):
            yield part, int(line.split()[1]) * 1024


def parts(pid: int) -> Counter[str]:
    """Bytes of each part of a server."""
    found: Counter[str] = Counter()
    for each in family(pid):
        for part, size in _regions(each):
            found[part] += size
    return found


def take(report: Report, name: str, pid: int, url: str) -> None:
    for when in ("started", f"after {SLOTS} conversations"):
        found = parts(pid)
        for part, size in sorted(found.items()):
            report.add(f"{name}, {when}: {part}", size / 1e6, "MB")
        report.add(f"{name}, {when}", found.total() / 1e6, "MB")
        if when == "started":
            rate(url, SLOTS)


def measure(report: Report, rounds: int) -> None:
    for _ in range(rounds):
        for settings, options in ("like", OURS), ("default", []):
            with Server(options) as server:
                take(report, f"llamaedge run, {settings}", server.pid, server.url)
            for name, command in peers().items():
                with Peer(partial(_line, command, settings)) as peer:
                    take(report, f"{name}, {settings}", peer.pid, peer.url)


def _line(command: Callable[[int], list[str]], settings: str, port: int) -> list[str]:
    """The command that starts a peer on ``port``, with the settings of ``settings``."""
    unasked = settings == "default"
    return [each.replace(_ASKED, _UNASKED) if unasked else each for each in command(port)]
