"""More clients than slots: they take turns, and make as many tokens as fewer would."""

from functools import partial

from peers import OURS, SLOTS, rate
from report import Report
from server import Server

TURNS = 3


def measure(report: Report, rounds: int) -> None:
    with Server(OURS) as server:
        rate(server.url, SLOTS)
        for _ in range(rounds):
            calls = {
                f"{clients} clients on {SLOTS} slots": partial(rate, server.url, clients)
                for clients in (SLOTS, 2 * SLOTS)
            }
            report.compare("tokens/s", calls, TURNS)
