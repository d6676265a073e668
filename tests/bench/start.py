"""The second start: from the command to the first answered /v1/models, and a cached guest's."""

import os
import re
import time
from importlib.resources import files
from pathlib import Path

from memory import family
from report import Report
from server import Server

from llamaedge_host import Guest, modules


def cpu_seconds(pid: int) -> float:
    """What the process ``pid`` has computed: of time, what a busy machine changes least."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(report: Report, rounds: int) -> None:
    guest = Path(str(files("llamaedge_launcher") / "llama-api-server.wasm"))
    with Server():
        pass
    for _ in range(rounds):
        with Server() as server:
            computed = sum(map(cpu_seconds, family(server.pid)))
        loading = sum(float(each) for each in re.findall(r"loaded in ([\d.]+) s", server.log))
        report.add("to the first answered /v1/models", server.first_answer, "s")
        report.add("of that, loading the model", loading, "s")
        report.add("model loading aside", server.first_answer - loading, "s")
        report.add("CPU time until then, of all its processes", computed, "s")
        started = time.perf_counter()
        Guest(guest).close()
        report.add("the bundled guest, loaded and linked from the cache",
                   (time.perf_counter() - started) * 1e3, "ms")  # fmt: skip
        started = time.perf_counter()
        settings = modules.EngineSettings()
        modules.load(settings.engine(), settings, modules.read_wasm(guest), "guest")
        report.add("of that, reading and mapping the compiled module",
                   (time.perf_counter() - started) * 1e3, "ms")  # fmt: skip
