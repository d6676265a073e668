"""Tables: drawn for people on a terminal, lines with tabs between the fields for programs."""

from collections.abc import Iterable, Sequence

import click
from rich import box
from rich.table import Table
from rich.text import Text

from .console import stdout

Row = Sequence[str]


def print_table(
    columns: Sequence[str], rows: Iterable[Row], *, numbers: Sequence[str] = ()
) -> None:
    """Print ``rows`` to stdout; those ``columns`` that are ``numbers`` end at their right edge."""
    console = stdout()
    if not console.is_terminal:
        for row in rows:
            click.echo("\t".join(row))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        number = column in numbers
        table.add_column(
            column,
            justify="right" if number else "left",
            no_wrap=number,
            overflow="fold",
            header_style="bold",
        )
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def print_pairs(rows: Iterable[tuple[str, str]]) -> None:
    """Print names and what they have, a line each."""
    console = stdout()
    if not console.is_terminal:
        for row in rows:
            click.echo("\t".join(row))
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, Text(value))
    console.print(table)
