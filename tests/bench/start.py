"""The second start: from the command to the first answered /v1/models, and a cached guest's."""

import re
import time
from importlib.resources import files
from pathlib import Path

from report import Report
from server import Server

from llamaedge_host import Guest, modules


def measure(report: Report, rounds: int) -> None:
    guest = Path(str(files("llamaedge_launcher") / "llama-api-server.wasm"))
    Guest(guest).close()
    for _ in range(rounds):
        with Server() as server:
            pass
        loading = sum(float(each) for each in re.findall(r"loaded in ([\d.]+) s", server.log))
        report.add("to the first answered /v1/models", server.first_answer, "s")
        report.add("of that, loading the model", loading, "s")
        report.add("model loading aside", server.first_answer - loading, "s")
        started = time.perf_counter()
        Guest(guest).close()
        report.add("the bundled guest, loaded and linked from the cache",
                   (time.perf_counter() - started) * 1e3, "ms")  # fmt: skip
        started = time.perf_counter()
        settings = modules.EngineSettings()
        modules.load(settings.engine(), settings, modules.read_wasm(guest), "guest")
        report.add("of that, reading and mapping the compiled module",
                   (time.perf_counter() - started) * 1e3, "ms")  # fmt: skip
