"""``--lora``: adapters of the first model that makes text."""

from pathlib import Path
from typing import Any

import click

from llamaedge_host.ggml.llama import gguf
from llamaedge_host.paths import expanded

from ..errors import LauncherError


class LoraFile(click.ParamType[str]):
    """FILE or FILE:SCALE, which becomes SCALE:FILE."""

    name = "adapter"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> str:
        """The scale, 1 unless it is given, and the file."""
        text = str(value)
        path, colon, scale = text.rpartition(":")
        number = _number(scale) if colon and path else None
        if number is None:
            number, path = 1.0, text
        return f"{number!r}:{expanded(path).absolute()}"


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < 1e6 else None


LORA = click.option(
    "--lora",
    "adapters",
    type=LoraFile(),
    multiple=True,
    metavar="FILE[:SCALE]",
    help="A LoRA adapter of the model, a GGUF file, and how strong it is for requests that do not"
    " say it, 1 unless given; may be repeated",
)


def check_adapters(adapters: tuple[str, ...]) -> None:
    """Raise LauncherError for a file that is no adapter."""
    for each in adapters:
        path = Path(each.partition(":")[2])
        try:
            kind = gguf.read(path).metadata.get("general.type")
        except OSError as error:
            raise LauncherError(f"--lora: cannot read {path}: {error.strerror}") from error
        except gguf.GgufError as error:
            raise LauncherError(f"--lora: {path} cannot be used: {error}") from error
        if kind != "adapter":
            raise LauncherError(f"--lora: {path} is no adapter, as its general.type says")
