"""The command ``llamaedge doctor``."""

import click
from rich import box
from rich.table import Table
from rich.text import Text

from ..doctor import Finding, State, examine
from .console import stdout

_STYLES = {State.OK: "green", State.NOTE: "yellow", State.WRONG: "bold red"}


@click.command(short_help="Look at this machine and installation.")
def doctor() -> int:
    """Look at what serving needs, and say what is wrong and which command mends it.

    The exit code is 1 if something is wrong. In a pipe: fields with tabs between.
    """
    console = stdout()
    if not console.is_terminal:
        found = list(map(_line, examine()))
    else:
        with console.status("looking"):
            found = list(examine())
        console.print(_table(found))
        console.print(f"\n{_verdict(found)}")
    return 1 if State.WRONG in {each.state for each in found} else 0


def _verdict(found: list[Finding]) -> str:
    wrong = [each.what for each in found if each.state is State.WRONG]
    if wrong:
        return f"Servers cannot run: mend {', '.join(wrong)} first."
    notes = [each.what for each in found if each.state is State.NOTE]
    return f"Servers can run; see {', '.join(notes)}." if notes else "All is well."


def _line(finding: Finding) -> Finding:
    click.echo("\t".join((finding.state.value, finding.what, finding.found, finding.cure)))
    return finding


def _table(found: list[Finding]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in ("", "what", "found", "what to do"):
        table.add_column(column, overflow="fold", header_style="bold")
    for each in found:
        state = Text(each.state.value, _STYLES[each.state])
        table.add_row(state, each.what, Text(each.found), Text(each.cure))
    return table
