"""Many machines on paper, by simulated.py; writes the tables of docs/scaling.md."""

import random
import re
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from math import ceil, inf
from pathlib import Path

import simpy
from load import CLIENTS, SIZES
from report import Report
from simulated import (
    BLOCK,
    Cluster,
    Costs,
    Machine,
    Request,
    Router,
    Seen,
    Traffic,
    by_chance,
    by_load,
    by_prefix,
)

from llamaedge_launcher.affinity import Placement, Prefix

PAGE = Path(__file__).parents[2] / "docs" / "scaling.md"
COSTS = Costs(prefill=320, decode=100, decode_8=141)
"""Of docs/benchmarks.md: `streams`; what a request of `load` takes beside its tokens."""
LOAD = 200  # requests
AROUND, WORD = 30, 2.13  # tokens around a prompt of `load`, and of a word of it
MEASURED = {"requests/s": "0.89", "first token p50": "3.2 s", "first token p99": "18.4 s"}
"""Of docs/benchmarks.md: `load`."""
CHUNK = 80e-6  # seconds of a front's CPU for a token that it passes on
FRONT = 0.7  # share of its CPU that a front should use
CELL = 64  # machines behind one router
PRICE = 0.05  # dollars that a machine is taken to cost an hour
SECONDS = 720.0
BUSY = Traffic(rate=0.1)

Row = Sequence[str]
ROUTERS: dict[str, Callable[[], Router]] = {
    "by chance": lambda: by_chance(random.Random(2)),
    "least loaded": lambda: by_load(random.Random(2)),
    "by prefix": lambda: by_prefix(COSTS),
}


def simulate(
    name: str, machines: int, traffic: Traffic, *, queue: float = inf, seed: int = 1
) -> tuple[Cluster, dict[str, float]]:
    """The figures of a run whose time is shorter where there are more machines."""
    cluster = Cluster(
        COSTS,
        traffic,
        machines=machines,
        router=ROUTERS[name](),
        seconds=SECONDS if machines >= 8 else 8 * SECONDS,
        queue=queue,
        seed=seed,
    )
    seen = cluster.run()
    speed = seen.made / seen.seconds
    return cluster, {
        "reused": seen.reused / max(seen.prompt, 1),
        "busy": cluster.busy,
        "first p50": seen.quantile(0.5),
        "first p99": seen.quantile(0.99),
        "speed": speed,
        "hours": machines * 1e6 / speed / 3600,
        "refused": seen.refused / max(seen.refused + seen.answered, 1),
    }


def shown(found: dict[str, float]) -> list[str]:
    return [
        f"{found['reused']:.0%}",
        f"{found['busy']:.0%}",
        f"{found['first p50']:.2f} s",
        f"{found['first p99']:.1f} s",
    ]


def measured() -> list[str]:
    """One machine as the benchmark `load` has it, beside what that measured."""
    world, seen = simpy.Environment(), Seen()
    machine = Machine(world, COSTS, lambda: seen)
    jobs = [(number, *SIZES[number % len(SIZES)]) for number in range(LOAD)]

    def client() -> Generator[simpy.Event, None, None]:
        while jobs:
            number, words, wanted = jobs.pop(0)
            length = AROUND + round(words * WORD)
            none = Prefix(b"", ())
            request = Request(number, number, none, length, wanted, world.now, world.event())
            machine.take(request)
            yield request.done

    for _ in range(CLIENTS):
        world.process(client())
    world.run()
    found = {
        "requests/s": f"{LOAD / world.now:.2f}",
        "first token p50": f"{seen.quantile(0.5):.1f} s",
        "first token p99": f"{seen.quantile(0.99):.1f} s",
    }
    rows = [[name, MEASURED[name], told] for name, told in found.items()]
    return table(["16 clients, none of whose prompts are alike", "measured", "simulated"], rows)


def routers(report: Report) -> list[str]:
    rows = []
    for machines in (1, 8, CELL):
        for name in ROUTERS if machines > 1 else ["by chance"]:
            _, found = simulate(name, machines, BUSY)
            title = name if machines > 1 else "one machine"
            rows.append([str(machines), title, *shown(found)])
            report.add(f"{machines} machines, {title}: reused", found["reused"], "")
    return table(["machines", "router", "tokens reused", "busy", "first token p50", "p99"], rows)


def loads() -> list[str]:
    rows = []
    for rate in (0.06, 0.08, 0.1, 0.13, 0.16, 0.2):
        row = [f"{rate * BUSY.turns:g}"]
        for name in ("least loaded", "by prefix"):
            cluster, found = simulate(name, CELL, replace(BUSY, rate=rate))
            held = cluster.waiting < COSTS.slots / 2
            row += [
                f"{found['busy']:.0%}",
                f"{found['first p99']:.1f} s" if held else "grows",
                f"{found['hours']:.1f}" if held else "-",
                f"{found['hours'] * PRICE:.2f}" if held else "-",
            ]
        rows.append(row)
    each = ["busy", "first token p99", "machine-hours a million", "dollars"]
    names = [f"{which}: {what}" for which in ("least loaded", "by prefix") for what in each]
    return table(["requests/s a machine", *names], rows)


def slacks() -> list[str]:
    rows = []
    for slack in (1.0, 1.25, 2.0, inf):
        cluster = Cluster(
            COSTS,
            replace(BUSY, rate=0.16),
            machines=CELL,
            router=by_prefix(COSTS, min(slack, 1e9)),
            seconds=SECONDS,
        )
        seen = cluster.run()
        figures = {"reused": seen.reused / seen.prompt, "busy": cluster.busy,
                   "first p50": seen.quantile(0.5), "first p99": seen.quantile(0.99)}  # fmt: skip
        rows.append(["no bound" if slack == inf else f"{slack:g}", *shown(figures)])
    return table(["slack", "tokens reused", "busy", "first token p50", "p99"], rows)


def admission() -> list[str]:
    rows = []
    for queue in (inf, 16, 4):
        _, found = simulate("by prefix", 8, replace(BUSY, rate=0.4), queue=queue)
        rows.append(
            ["any number" if queue == inf else f"{queue:g}", f"{found['refused']:.0%}",
             f"{found['first p50']:.1f} s", f"{found['first p99']:.1f} s",
             f"{found['speed'] / 8:.0f}"]
        )  # fmt: skip
    head = ["may wait, a machine", "refused", "first token p50", "p99", "tokens/s a machine"]
    return table(head, rows)


def decision(machines: int) -> float:
    """Seconds that the router takes for a request before so many machines; the best of three."""
    return min(_decided(machines) for _ in range(3))


def _decided(machines: int) -> float:
    placement = Placement(capacity=COSTS.cache // BLOCK)
    loads_ = {str(n): n % 5 for n in range(machines)}
    prefixes = [
        Prefix(b"%d" % n, tuple(b"%d:%d" % (n, block) for block in range(10))) for n in range(300)
    ]
    began = time.perf_counter()
    for each in prefixes:
        placement.sent(each, next(placement.order(each, loads_)))
    return (time.perf_counter() - began) / len(prefixes)


def growth(report: Report) -> list[str]:
    """From one machine to 10,000: cells of CELL machines, of which a few are simulated."""
    cells = [simulate("by prefix", CELL, BUSY, seed=seed)[1] for seed in (1, 2, 3)]
    speed = sum(each["speed"] for each in cells) / len(cells) / CELL
    spread = [each["first p99"] for each in cells]
    report.add("a cell's first token p99", sum(spread) / len(spread), "s")
    rows = []
    for machines in (1, 10, 100, 1000, 10_000):
        made = machines * speed
        one = decision(machines)
        asked = machines * BUSY.rate * BUSY.turns
        report.add(f"a decision before {machines} machines", one * 1e6, "us")
        rows.append(
            [f"{machines:,}", f"{made:,.0f}", f"{asked:,.1f}",
             f"{ceil(made * CHUNK / FRONT):,}", f"{one * 1e3:.2f} ms", f"{one * asked:.1%}",
             f"{ceil(machines / CELL):,}", f"{machines * PRICE:,.2f}"]
        )  # fmt: skip
    head = ["machines", "tokens/s", "requests/s", "fronts", "a decision of one router",
            "its CPU", "cells", "dollars an hour"]  # fmt: skip
    note = (
        f"Three cells of {CELL} machines were simulated, with other chances each; the first token"
        f" came within {min(spread):.1f} to {max(spread):.1f} s (p99)."
    )
    return [*table(head, rows), "", note]


def table(head: Sequence[str], rows: Sequence[Row]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(each)} |" for each in lines]


def write(name: str, lines: Sequence[str]) -> None:
    """Put ``lines`` into the page, between the marks of their name."""
    text = PAGE.read_text()
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    pattern = re.escape(begin) + ".*?" + re.escape(end)
    made = "\n".join(lines)
    PAGE.write_text(re.sub(pattern, lambda _: f"{begin}\n{made}\n\n{end}", text, flags=re.DOTALL))


def measure(report: Report, rounds: int) -> None:
    """Whatever ``rounds`` says, once: the same seeds make the same figures."""
    write("measured", measured())
    write("routers", routers(report))
    write("loads", loads())
    write("slacks", slacks())
    write("admission", admission())
    write("growth", growth(report))
