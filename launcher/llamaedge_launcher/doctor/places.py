"""Caches and how much room they have, descriptors, and the usual port."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import constants

from llamaedge_host import module_cache

from ..address import Address
from ..errors import LauncherError
from ..models import store, web
from ..models.sizes import size_text
from ..rlimit import current
from .finding import Finding, State

TIGHT = 5_000_000_000
"""Bytes on the disk with which hardly a model comes."""
FEW = 4096
"""Descriptors with which many clients at once are refused."""


def findings() -> Iterator[Finding]:
    """Nothing is made or written."""
    yield _models()
    yield _parts()
    yield _downloads()
    yield _modules()
    yield _descriptors()
    yield _port(Address())


def _models() -> Finding:
    folder = Path(constants.HF_HUB_CACHE)
    found = store.stored()
    free = shutil.disk_usage(_there(folder)).free
    size = size_text(sum(each.size for each in found))
    text = f"{len(found)}, {size}, in {folder}; {size_text(free)} are free there"
    if not os.access(_there(folder), os.W_OK):
        cure = "name a folder of yours: HF_HOME=FOLDER"
        return Finding("models", f"{text}, but not to be written", State.WRONG, cure)
    if free < TIGHT:
        cure = "llamaedge list, then llamaedge rm MODEL; or name another disk: HF_HOME=FOLDER"
        return Finding("models", text, State.NOTE, cure)
    return Finding("models", text)


def _parts() -> Finding:
    parts = store.partial()
    if not parts:
        return Finding("broken off", "no downloads")
    size = size_text(sum(size for _, size in parts))
    cure = "llamaedge pull goes on with them, llamaedge rm --partial deletes them"
    return Finding("broken off", f"downloads of {size}", State.NOTE, cure)


def _downloads() -> Finding:
    folder = web.folder()
    return Finding("from URLs", f"{_contents(folder)} in {folder}")


def _modules() -> Finding:
    folder = module_cache.user_folder()
    text = f"{_contents(folder)} in {folder}"
    if folder.exists() and not module_cache.is_private(folder):
        cure = f"rm -r {folder}"
        text = f"others can write to {folder}, so guests are compiled at every start"
        return Finding("compiled guests", text, State.NOTE, cure)
    return Finding("compiled guests", text)


def _descriptors() -> Finding:
    limit = current()
    text = "no limit" if limit is None else f"{limit:,}"
    if limit is not None and limit < FEW:
        return Finding("open files", text, State.NOTE, f"ulimit -n {FEW * 16}")
    return Finding("open files", text)


def _port(address: Address) -> Finding:
    try:
        address.listen().close()
    except LauncherError as error:
        cure = "llamaedge run --port 0 takes any free one"
        return Finding("port", str(error), State.NOTE, cure)
    return Finding("port", f"{address} is free")


def _there(folder: Path) -> Path:
    """``folder``, or the nearest above it that exists."""
    return next(each for each in (folder, *folder.absolute().parents) if each.exists())


def _contents(folder: Path) -> str:
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return f"{len(sizes)} files, {size_text(sum(sizes))}," if sizes else "nothing"
