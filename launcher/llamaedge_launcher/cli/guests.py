"""The command ``llamaedge guests``."""

import click

from .. import guests as releases
from ..models.sizes import size_text
from .tables import print_table


@click.group(invoke_without_command=True, short_help="List and fetch LlamaEdge's own servers.")
@click.pass_context
def guests(context: click.Context) -> int:
    """List the releases of LlamaEdge's llama-api-server that are here.

    They run with llamaedge run --guest official@VERSION.
    """
    if context.invoked_subcommand is not None:
        return 0
    rows = [
        (each.version, size_text(each.path.stat().st_size), each.sha256) for each in releases.here()
    ]
    if rows:
        print_table(("version", "size", "sha256"), rows, numbers=("size",))
    else:
        click.echo("There is none; llamaedge guests fetch VERSION brings one.", err=True)
    return 0


@guests.command(short_help="Fetch a release.")
@click.argument("version")
@click.option("--sha256", metavar="CHECKSUM", help="What it must have, or it is not kept")
@click.option("--trust", is_flag=True, help="Take what comes, and nothing else later")
def fetch(version: str, sha256: str | None, trust: bool) -> int:
    """Fetch the release VERSION from LlamaEdge's page on GitHub.

    Releases are not signed: say which checksum is right, as the page of the release shows it, or
    trust what comes. Each start makes sure that it is the same still.
    """
    if (sha256 is None) == (not trust):
        raise click.UsageError("give either --sha256 CHECKSUM or --trust")
    found = releases.fetch(version, sha256=sha256)
    click.echo(f"{found.version} is here, SHA-256 {found.sha256}")
    click.echo(f"llamaedge run --guest {releases.OFFICIAL}@{found.version} MODEL")
    return 0
