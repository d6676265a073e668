"""The commands ``llamaedge list``, ``show``, ``rm`` and ``search``."""

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import LauncherError
from ..models.reference import parse
from ..models.sizes import size_text
from .console import stdout
from .tables import print_pairs, print_table

if TYPE_CHECKING:
    from ..models.store import Stored

_AGES = ((86400 * 2, 86400, "days"), (3600 * 2, 3600, "hours"), (120, 60, "minutes"))
_FOUND = 20


@click.command("list", short_help="List the models that are here.")
def list_models() -> int:
    """List the models that are here whole: name, size and when they were last read.

    In a pipe: name, bytes and path, with tabs between.
    """
    from ..models import store

    found = store.stored()
    if not stdout().is_terminal:
        for each in found:
            click.echo(f"{each.name}\t{each.size}\t{each.path}")
        return 0
    if found:
        rows = [(each.name, size_text(each.size), _age(each.used)) for each in found]
        print_table(("model", "size", "last read"), rows, numbers=("size",))
    else:
        click.echo(
            "There is none yet; llamaedge search WORD finds some, llamaedge pull fetches one."
        )
    parts = store.partial()
    if parts:
        size = size_text(sum(size for _, size in parts))
        click.echo(
            f"Of downloads that broke off, {size} are here: llamaedge pull goes on with one,"
            " llamaedge rm --partial deletes them."
        )
    return 0


@click.command(short_help="Tell what a model is.")
@click.argument("model")
def show(model: str) -> int:
    """Tell what MODEL is, by its file: a path, or a model that llamaedge list names."""
    found = _found(model)
    print_pairs([("name", found.name), *_facts(found)])
    return 0


@click.command(short_help="Delete models.")
@click.argument("models", metavar="[MODEL]...", nargs=-1)
@click.option("--partial", is_flag=True, help="Delete what came of downloads that broke off.")
def rm(models: tuple[str, ...], partial: bool) -> int:
    """Delete each MODEL's files, as llamaedge list names it, unless another model has them too."""
    from ..models import store

    if not models and not partial:
        raise click.UsageError("name a model, as llamaedge list does")
    for found in [_stored(each) for each in models]:
        click.echo(f"deleted {found.name}: {size_text(store.remove(found))} are free again")
    if partial:
        size = 0
        for path, count in store.partial():
            path.unlink(missing_ok=True)
            size += count
        click.echo(f"deleted what had come in part: {size_text(size)} are free again")
    return 0


@click.command(short_help="Find models on Hugging Face.")
@click.argument("words", metavar="WORD...", nargs=-1, required=True)
def search(words: tuple[str, ...]) -> int:
    """Find repositories with GGUF files on Hugging Face, the most downloaded first."""
    from ..models import hub

    found = hub.search(" ".join(words), limit=_FOUND)
    if not found:
        raise LauncherError(f"nothing with GGUF files is found for {' '.join(words)}")
    rows = [
        (each.repo, f"{each.downloads:,}", f"{each.likes:,}", "gated" if each.gated else "")
        for each in found
    ]
    print_table(("repository", "downloads", "likes", ""), rows, numbers=("downloads", "likes"))
    if stdout().is_terminal:
        click.echo(f"To fetch one: llamaedge pull {found[0].repo}")
    return 0


def _found(model: str) -> "Stored":
    from ..models.store import Stored

    path = parse(model)
    if not isinstance(path, Path) or not path.is_file():
        return _stored(model)
    return Stored(str(path), (path,), None, path.stat().st_size, 0, 0)


def _stored(model: str) -> "Stored":
    """The model that is here under a name that leaves no doubt."""
    from ..models import store

    reference = parse(model)
    found = store.find_all(reference)
    if len(found) > 1:
        raise LauncherError(f"{model} is one of {', '.join(each.name for each in found)}; name one")
    if not found:
        raise LauncherError(f"{model} is not here; llamaedge list shows what is")
    return found[0]


def _facts(model: "Stored") -> Iterator[tuple[str, str]]:
    """What the header of ``model``'s files says, as far as it says it."""
    from ..models.check import check_model
    from ..models.variants import label

    header = check_model(model.name, model.path)
    text = {key: value for key, value in header.metadata.items() if isinstance(value, str)}
    weights = sum(math.prod(tensor.shape) for tensor in header.tensors)
    facts = {
        "title": text.get("general.name", ""),
        "architecture": header.architecture,
        "parameters": _count(weights),
        "quantization": label(model.path.name),
        "context": f"{header.integer('context_length'):,} tokens",
        "layers": str(header.integer("block_count")),
        "width": str(header.integer("embedding_length")),
        "chat template": "its own" if "tokenizer.chat_template" in text else "none",
        "licence": text.get("general.license", ""),
        "size": size_text(model.size),
        "files": "\n".join(map(str, model.files)),
        "projector": str(model.projector or ""),
    }
    return ((name, value) for name, value in facts.items() if value)


def _count(number: int) -> str:
    for unit, name in ((10**9, "billion"), (10**6, "million")):
        if number >= unit:
            return f"{number / unit:.3g} {name}"
    return f"{number:,}"


def _age(moment: float) -> str:
    seconds = time.time() - moment
    for least, unit, name in _AGES:
        if seconds >= least:
            return f"{seconds / unit:.0f} {name} ago"
    return "just now"
