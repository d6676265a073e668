"""Brings a model and what belongs to it from a hub into huggingface-hub's cache."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import (
    constants,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils import WeakFileLock, build_hf_headers

from .. import machine
from ..errors import LauncherError
from . import fit, hub, store, web
from .download import Source, fetch
from .reference import HubModel, WebModel
from .variants import File, Variant, choose, projector, variants
from .watch import Watcher

_TAG = re.compile(r"[\w.-]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SOON = 0.1  # seconds


def pull(model: HubModel | WebModel, watcher: Watcher, tell: Callable[[str], None]) -> store.Stored:
    """Bring ``model`` here, as it is on the hub now; ``tell`` hears what was chosen and why.

    What is here already is not fetched again. Raises LauncherError.
    """
    here = store.find(model) if constants.is_offline_mode() else None
    if here is not None:
        tell("taken as it is here: HF_HUB_OFFLINE is set")
        return here
    if isinstance(model, WebModel):
        web.pull(model, watcher)
        return _found(model)
    with hub.refusals(model):
        listing = hub.listing(model)
        variant = _choose(model, variants(listing.files), tell)
        eye = projector(listing.files)
        files = [*variant.files, *([eye] if eye else [])]
        watcher.begins(files)
        for file in files:
            _bring(model, listing.commit, file, watcher)
        _keep_revision(model, listing.commit)
    return _found(HubModel(model.repo, variant.name, listing.commit))


def _choose(model: HubModel, offered: tuple[Variant, ...], tell: Callable[[str], None]) -> Variant:
    found = choose(model, offered)
    if model.choice is not None:
        return found[0]
    variant, reason = fit.best(model, found, machine.look())
    tell(reason)
    return variant


def _found(model: HubModel | WebModel) -> store.Stored:
    found = store.find(model)
    if found is None:
        raise LauncherError(f"{model} was removed while it was fetched; try again")
    return found


def _bring(model: HubModel, commit: str, file: File, watcher: Watcher) -> None:
    """``file`` of ``model`` at ``commit``, whole and checked."""
    here = try_to_load_from_cache(model.repo, file.name, revision=commit)
    if isinstance(here, str):
        if Path(here).stat().st_size == file.size:
            watcher.has(file)
            return
        Path(here).resolve().unlink()
        Path(here).unlink(missing_ok=True)
    url = hf_hub_url(model.repo, file.name, revision=commit)
    headers = build_hf_headers()
    about = get_hf_file_metadata(url, headers=headers, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    if about.etag is None or about.commit_hash is None or not _TAG.fullmatch(about.etag):
        raise LauncherError(f"{url} answers, but not as a Hugging Face hub does")
    digest = about.etag if _SHA256.fullmatch(about.etag) else file.digest
    if (about.size or file.size, digest) != (file.size, file.digest or digest):
        raise LauncherError(
            f"{file.name}: {constants.ENDPOINT} tells two sizes or checksums of it:"
            f" {file.size} bytes, {file.digest}, and {about.size} bytes, {digest}; try again later"
        )
    folder = repo_folder_name(repo_id=model.repo, repo_type="model")
    cache = Path(constants.HF_HUB_CACHE)
    blob = cache / folder / "blobs" / about.etag
    source = Source(File(file.name, file.size, digest), url, headers)
    with _alone(cache / ".locks" / folder / f"{about.etag}.lock", file, watcher):
        if not blob.exists():
            fetch(source, blob.with_name(f"{about.etag}.incomplete"), blob, watcher)
    hf_hub_download(model.repo, file.name, revision=commit)
    watcher.has(file)


@contextmanager
def _alone(lock: Path, file: File, watcher: Watcher) -> Iterator[None]:
    """One process at a time fetches a file; huggingface-hub itself takes the same lock."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = WeakFileLock(lock, timeout=_SOON)
    try:
        held.__enter__()
    except TimeoutError:
        watcher.waits(file, "another process is fetching it")
        held = WeakFileLock(lock)
        held.__enter__()
    try:
        yield
    finally:
        held.__exit__(None, None, None)


def _keep_revision(model: HubModel, commit: str) -> None:
    """Let the cache's ``revision`` be ``commit``, once all of its files are there."""
    if model.revision != commit:
        folder = repo_folder_name(repo_id=model.repo, repo_type="model")
        path = Path(constants.HF_HUB_CACHE) / folder / "refs" / model.revision
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(commit)
