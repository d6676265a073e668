"""The models that are here: in huggingface-hub's cache, and those that came from a URL."""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HFCacheInfo, constants, scan_cache_dir
from huggingface_hub.errors import CacheNotFound
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils import CachedFileInfo, CachedRepoInfo, CachedRevisionInfo

from . import web
from .reference import MAIN, HubModel, Reference, WebModel
from .variants import File, Variant, matching, projector, variants


@dataclass(frozen=True)
class Stored:
    """A model that is here whole; ``name`` is what to run it by.

    It came and was last read at ``arrived`` and ``used``, in seconds since 1970.
    """

    name: str
    files: tuple[Path, ...]
    projector: Path | None
    size: int
    arrived: float
    used: float

    @property
    def path(self) -> Path:
        """The first file, which is given to the server."""
        return self.files[0]


@dataclass(frozen=True)
class _Place:
    """A revision of a repository in the cache."""

    repo: CachedRepoInfo
    revision: CachedRevisionInfo

    @property
    def files(self) -> dict[str, CachedFileInfo]:
        """By their names in the repository."""
        root = self.revision.snapshot_path
        return {each.file_path.relative_to(root).as_posix(): each for each in self.revision.files}


def find(model: Reference) -> Stored | None:
    """``model``, if it is here whole; the one that came last, if it names several."""
    return max(find_all(model), key=lambda each: each.arrived, default=None)


def find_all(model: Reference) -> tuple[Stored, ...]:
    """The models that are here whole and that ``model`` names."""
    if isinstance(model, Path):
        return ()
    if isinstance(model, WebModel):
        return tuple(each for each in _from_web() if each.name == model.url)
    folder = repo_folder_name(repo_id=model.repo, repo_type="model")
    if not Path(constants.HF_HUB_CACHE, folder).is_dir():
        return ()
    for place in _places(model.repo):
        if model.revision not in (place.revision.commit_hash, *place.revision.refs):
            continue
        here = [each for each in _variants(place) if each.whole]
        if found := matching(model, here):
            return tuple(_stored(place, each, here) for each in found)
    return ()


def stored() -> tuple[Stored, ...]:
    """All models that are here whole, by their names."""
    return tuple(sorted((*_from_hub(), *_from_web()), key=lambda each: each.name))


def remove(model: Stored) -> int:
    """Delete ``model``'s files that no other one needs; the bytes that this frees.

    The projector goes with the last model of its repository.
    """
    if not model.name.startswith(("http://", "https://")):
        return _remove_from_cache(model)
    return web.remove(model.name)


def partial() -> tuple[tuple[Path, int], ...]:
    """Downloads that broke off, and their sizes in bytes."""
    cache = _cache()
    found = (
        [(each.file_path, each.size_on_disk) for each in cache.incomplete_files] if cache else []
    )
    return (*found, *web.partial())


def _cache() -> HFCacheInfo | None:
    try:
        return scan_cache_dir(constants.HF_HUB_CACHE)
    except CacheNotFound:
        return None


def _places(repo: str | None = None) -> Iterator[_Place]:
    """The revisions in the cache: of each repository, the main one first, then by age."""
    cache = _cache()
    for each in cache.repos if cache else ():
        if each.repo_type == "model" and repo in (None, each.repo_id):
            for revision in sorted(
                each.revisions, key=lambda it: (MAIN in it.refs, it.last_modified), reverse=True
            ):
                yield _Place(each, revision)


def _variants(place: _Place) -> tuple[Variant, ...]:
    return variants(File(name, each.size_on_disk) for name, each in place.files.items())


def _from_hub() -> Iterator[Stored]:
    seen: set[tuple[str, str]] = set()
    for place in _places():
        here = [each for each in _variants(place) if each.whole]
        for each in here:
            if (place.repo.repo_id, each.name) not in seen:
                seen.add((place.repo.repo_id, each.name))
                yield _stored(place, each, here)


def _stored(place: _Place, variant: Variant, here: Iterable[Variant]) -> Stored:
    same = [each for each in here if each.label == variant.label]
    choice = variant.label if variant.label and len(same) == 1 else variant.name
    revision = MAIN if MAIN in place.revision.refs else place.revision.commit_hash
    eye = projector(File(name, each.size_on_disk) for name, each in place.files.items())
    files = [place.files[file.name] for file in variant.files]
    return Stored(
        str(HubModel(place.repo.repo_id, choice, revision)),
        tuple(file.file_path for file in files),
        place.files[eye.name].file_path if eye else None,
        variant.size + (eye.size if eye else 0),
        max(file.blob_last_modified for file in files),
        max(file.blob_last_accessed for file in files),
    )


def _from_web() -> Iterator[Stored]:
    for url, path in web.stored():
        status = path.stat()
        yield Stored(url, (path,), None, status.st_size, status.st_mtime, status.st_atime)


def _remove_from_cache(model: Stored) -> int:
    cache = _cache()
    assert cache is not None, "what is stored lies in the cache"
    repo = next(each for each in cache.repos if each.repo_path in model.path.parents)
    files = {
        each: each.file_path.relative_to(revision.snapshot_path)
        for revision in repo.revisions
        for each in revision.files
    }
    names = {name for each, name in files.items() if each.file_path in model.files}
    last = not variants(File(name.as_posix(), 0) for name in set(files.values()) - names)
    strategy = cache.delete_files(*(each for each in files if last or files[each] in names))
    strategy.execute()
    if last:
        shutil.rmtree(repo.repo_path, ignore_errors=True)
    return strategy.expected_freed_size
