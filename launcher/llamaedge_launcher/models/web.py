"""Models from a URL, in a folder of their own in the user's cache."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import platformdirs
from huggingface_hub import constants, get_session
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from ..errors import LauncherError
from .download import Source, fetch
from .hub import reason
from .reference import WebModel
from .variants import File
from .watch import Watcher

_URL, _TAG, _PART = "url", "etag", ".part"
_DIGITS = 16


def folder() -> Path:
    """Where they lie; LLAMAEDGE_CACHE_DIR names another cache."""
    root = os.environ.get("LLAMAEDGE_CACHE_DIR") or platformdirs.user_cache_path("llamaedge")
    return Path(root) / "downloads"


def pull(model: WebModel, watcher: Watcher) -> Path:
    """The file at ``model``'s URL, fetched if it is not here. Raises LauncherError."""
    if not model.name.endswith(".gguf"):
        raise LauncherError(f"{model.url} does not end with the name of a .gguf file", exit_code=2)
    place = folder() / hashlib.sha256(model.url.encode()).hexdigest()[:_DIGITS]
    target = place / model.name
    if target.is_file():
        return target
    try:
        place.mkdir(parents=True, exist_ok=True)
        place.joinpath(_URL).write_text(model.url)
        file, headers = _ask(model, place)
        watcher.begins([file])
        part = place / (model.name + _PART)
        fetch(Source(file, model.url, headers), part, target, watcher)
        watcher.has(file)
    except OfflineModeIsEnabled:
        message = f"{model.url} is not here, and HF_HUB_OFFLINE forbids to fetch it"
        raise LauncherError(message) from None
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        what = "is refused" if isinstance(error, HfHubHTTPError) else "cannot be fetched"
        raise LauncherError(f"{model.url} {what}: {reason(error)}") from error
    return target


def _ask(model: WebModel, place: Path) -> tuple[File, dict[str, str]]:
    """What the server says of the file; a part of another version of it is thrown away."""
    answer = get_session().head(
        model.url,
        headers={"Accept-Encoding": "identity"},
        timeout=constants.HF_HUB_ETAG_TIMEOUT,
    )
    length = answer.headers.get("Content-Length", "") if answer.is_success else ""
    tag = answer.headers.get("ETag", "") if answer.is_success else ""
    known = place / _TAG
    if not known.is_file() or known.read_text() != tag:
        place.joinpath(model.name + _PART).unlink(missing_ok=True)
        known.write_text(tag)
    strong = tag.startswith('"')
    return File(model.name, int(length or 0)), {"If-Range": tag} if strong else {}


def stored() -> Iterator[tuple[str, Path]]:
    """The URLs of the models that are here, and their files."""
    for note in folder().glob(f"*/{_URL}"):
        for path in note.parent.glob("*.gguf"):
            yield note.read_text(), path


def partial() -> Iterator[tuple[Path, int]]:
    """Downloads that broke off, and their sizes in bytes."""
    for path in folder().glob(f"*/*{_PART}"):
        yield path, path.stat().st_size


def remove(url: str) -> int:
    """Delete the model that came from ``url``; the bytes that this frees."""
    for found, path in stored():
        if found == url:
            size = path.stat().st_size
            with suppress(OSError):
                shutil.rmtree(path.parent)
            return size
    return 0
