"""The command ``llamaedge pull``."""

from pathlib import Path

import click

from ..errors import LauncherError
from ..models.reference import parse
from .console import stderr
from .progress import shown


@click.command(short_help="Fetch a model from Hugging Face or a URL.")
@click.argument("model")
def pull(model: str) -> int:
    """Fetch MODEL: ORG/REPO, ORG/REPO:QUANTIZATION, ORG/REPO:FILE, or a URL.

    Without a quantization it is the one that suits this machine best. What broke off goes on where
    it stopped. A file is checked before it counts as here. The model's path goes to stdout.
    """
    named = parse(model)
    if isinstance(named, Path):
        here = "is a file of this machine" if named.is_file() else "is neither ORG/REPO nor a URL"
        raise LauncherError(f"{model} {here}; there is nothing to fetch", exit_code=2)
    from ..models.pull import pull as bring

    console = stderr()
    with shown(console) as watcher:
        found = bring(named, watcher, lambda line: console.print(line, markup=False))
    console.print(f"{found.name} is here: llamaedge run {found.name}", markup=False, soft_wrap=True)
    click.echo(found.path)
    return 0
