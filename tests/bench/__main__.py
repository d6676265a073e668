"""Benchmarks: `scripts/bench [NAME ...]`. Prints one table a benchmark, medians of all rounds."""

import argparse
import importlib
import os
import platform
from pathlib import Path

from report import Report

NAMES = (
    *("serve", "front", "start", "guest", "hostcall", "echo", "page"),
    *(
        "nn",
        "constrained",
        "embeddings",
        "step",
        "drafts",
        "rows",
        "streams",
        "crowd",
        "busy",
        "peers",
        "memory",
        "load",
        "growth",
    ),
)
FURTHER = ("scaling",)
"""Measured only if it is named: it writes docs/scaling.md."""


def machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(": ")[2] if names else model
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cpus} CPUs, {model}, {platform.system()} {platform.machine()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, *FURTHER, []],
                        metavar="NAME", help=f"which: {', '.join(NAMES)} (default: these), "
                        f"{', '.join(FURTHER)}")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=3, help="repetitions (default: 3)")
    parser.add_argument("--requests", type=int, default=500, help="of load (default: 500)")
    options = parser.parse_args()
    print(f"{machine()}; medians of {options.rounds} rounds\n")
    for name in options.names or NAMES:
        report = Report(name)
        further = {"requests": options.requests} if name == "load" else {}
        importlib.import_module(name).measure(report, options.rounds, **further)
        print(report.markdown(), flush=True)


if __name__ == "__main__":
    main()
