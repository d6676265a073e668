"""The table of clients: who does what, as a run found it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .table import CLIENTS, SCENARIOS, Client

DOCUMENT = Path(__file__).parents[2] / "docs" / "clients.md"
_HEAD = """\
# Clients

Programs that speak to other services speak to this one unchanged: give them its address, a key if
it asks for one, and any model's name. This table is from a run of each of them against `llamaedge
run`, made by

<!-- not run: it makes this document -->
```bash
scripts/test --clients tests/clients --clients-report docs/clients.md
```

which installs them in environments of their own. *tools* is a call whose result goes back,
*structured* an answer by a JSON schema, *error* a prompt that is too long and a wrong key, each as
the client's own error, *cancel* a stream that is given up and no longer computed. Where a client
has types for answers, the answers are checked against them. A dash says that the client has no such
thing. Open WebUI and Continue are not installed: their requests are sent as they send them.
"""


@dataclass
class Results:
    """What became of each scenario, by client."""

    outcomes: dict[str, dict[str, str]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def add(self, client: Client, scenario: str, outcome: str) -> None:
        """Take in one outcome: passed, failed or skipped."""
        self.outcomes.setdefault(client.title, {})[scenario] = outcome

    def table(self) -> str:
        """The rows of those clients that were run."""
        rows = [["client", "version", *SCENARIOS], ["---"] * (len(SCENARIOS) + 2)]
        for client in CLIENTS:
            found = self.outcomes.get(client.title)
            if found is not None:
                version = self.versions.get(client.title, "")
                cells = [_cell(client, name, found) for name in SCENARIOS]
                rows.append([client.title, version, *cells])
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)

    def document(self) -> str:
        """docs/clients.md."""
        return f"{_HEAD}\n{self.table()}\n"


def _cell(client: Client, scenario: str, found: Mapping[str, str]) -> str:
    if scenario in client.lacks:
        return "-"
    return {"passed": "yes", "failed": "**no**"}.get(found.get(scenario, ""), "not run")
