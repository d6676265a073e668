"""The options of ``llamaedge run`` for KV caches that made place for others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from llamaedge_host.ggml.keeping import DISK, Keeping
from llamaedge_host.paths import expanded

from .values import Size, Whole

OPTIONS = (
    click.option(
        "--cache-ram",
        type=Whole(-1, 1 << 24),
        metavar="MIB",
        help="Memory for the KV caches of conversations that made place for others; 0 for none"
        "  [default: -1, as suits the machine]",
    ),
    click.option(
        "--cache-dir",
        metavar="PATH",
        help="A folder for the KV caches of conversations that rest, which then go on where they"
        " were when the server is started again; nobody else may write there",
    ),
    click.option(
        "--cache-dir-size",
        type=Size(),
        default=DISK,
        metavar="SIZE",
        help="Most that these files take; the least recently used go  [default: 4G]",
    ),
    click.option(
        "--slot-save-path",
        metavar="PATH",
        help="A folder into which and from which clients may save and restore slots, at /slots",
    ),
)


def take_keeping(given: Mapping[str, Any]) -> Keeping:
    """What these options say of caches."""
    ram, folder = given["cache_ram"], given["cache_dir"]
    return Keeping(
        ram=None if ram is None or ram < 0 else ram,
        folder=None if folder is None else expanded(folder).absolute(),
        disk=given["cache_dir_size"],
    )


def slot_save_path(given: Mapping[str, Any]) -> Path | None:
    """The folder for slots, if there is one."""
    path = given["slot_save_path"]
    return None if path is None else expanded(path).absolute()
