"""What is asked of a Hugging Face hub, and its refusals in words."""

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from logging import getLogger

import httpx2
from huggingface_hub import HfApi, ModelInfo, constants, get_token
from huggingface_hub.errors import (
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import ExpandModelProperty_T
from huggingface_hub.utils import logging

from ..errors import LauncherError
from .reference import HubModel
from .variants import File

logging.set_verbosity(logging.ERROR)
getLogger("httpx2").setLevel(logging.WARNING)

_EXPANDED: list[ExpandModelProperty_T] = ["downloads", "likes", "gated", "lastModified"]


@dataclass(frozen=True)
class Listing:
    """The files of a repository at ``commit``."""

    commit: str
    files: tuple[File, ...]


@dataclass(frozen=True)
class Found:
    """A repository that a search found; ``updated`` is when, as ISO 8601 has it."""

    repo: str
    downloads: int
    likes: int
    gated: bool
    updated: str | None = None


def listing(model: HubModel) -> Listing:
    """The files of ``model``'s repository. Raises LauncherError."""
    with refusals(model):
        info = HfApi().model_info(
            model.repo,
            revision=model.revision,
            files_metadata=True,
            timeout=constants.HF_HUB_ETAG_TIMEOUT,
        )
        files = tuple(
            File(
                each.rfilename, each.size or 0, each.lfs.sha256 if each.lfs else each.blob_id or ""
            )
            for each in info.siblings or ()
        )
        return Listing(str(info.sha), files)


def search(words: str, *, limit: int) -> tuple[Found, ...]:
    """The most downloaded repositories with GGUF files that ``words`` find."""
    if constants.is_offline_mode():
        raise LauncherError("HF_HUB_OFFLINE forbids to search; unset it")
    with refusals(HubModel(words)):
        found = HfApi().list_models(
            search=words or None, filter="gguf", sort="downloads", limit=limit, expand=_EXPANDED
        )
        return tuple(map(_found, found))


def _found(model: ModelInfo) -> Found:
    updated = model.last_modified.isoformat() if model.last_modified else None
    return Found(model.id, model.downloads or 0, model.likes or 0, bool(model.gated), updated)


@contextmanager
def refusals(model: HubModel) -> Iterator[None]:
    """Turn whatever a hub, or the way there, refuses of ``model`` into a LauncherError."""
    try:
        yield
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, KeyError, TypeError) as error:
        raise LauncherError(_words(error, model)) from error


def _words(error: Exception, model: HubModel) -> str:
    for kind, text in _TEXTS.items():
        if isinstance(error, kind):
            return text.format(
                model=model,
                repo=model.repo,
                revision=model.revision,
                hub=constants.ENDPOINT,
                reason=reason(error),
                login=_login(),
            )
    raise error


_TEXTS: dict[type[Exception], str] = {
    OfflineModeIsEnabled: "{model} is not here, and HF_HUB_OFFLINE forbids to fetch it; unset it,"
    " or name a model that llamaedge list shows",
    GatedRepoError: "{repo} is gated: accept its terms at {hub}/{repo}, then {login}",
    RepositoryNotFoundError: "{hub} has no repository {repo}, or a private one; see that the name"
    " is right, or {login}",
    RevisionNotFoundError: "{repo} has no revision {revision}",
    RemoteEntryNotFoundError: "{repo} has lost a file since it was listed; try again",
    FileMetadataError: "{hub} answers, but not as a Hugging Face hub does; see what HF_ENDPOINT and"
    " the proxy settings say",
    LocalEntryNotFoundError: "{hub} cannot be reached: {reason}; see that the network works,"
    " and try again",
    HfHubHTTPError: "{hub} refuses {model}: {reason}",
    httpx2.InvalidURL: "HF_ENDPOINT is no URL: {reason}",
    httpx2.UnsupportedProtocol: "HF_ENDPOINT is no URL: {hub}",
    httpx2.TimeoutException: "{hub} does not answer in time; see that the network works, and try"
    " again",
    httpx2.HTTPError: "{hub} cannot be reached: {reason}; see that the network works, and try"
    " again",
    HFValidationError: "{repo!r} is not a repository's name, as org/name is",
    json.JSONDecodeError: "{hub} answers with a page instead of data; see what HF_ENDPOINT and the"
    " proxy settings say",
    OSError: "{model} cannot be kept: {reason}",
    ValueError: "{hub} answers what is not understood: {reason}",
    KeyError: "{hub} answers without {reason}",
    TypeError: "{hub} answers what is not understood: {reason}",
}
"""By the kind of error; the first that it is of counts."""

_STATUSES = {
    401: "it asks for a token; {login}",
    403: "it is not allowed; {login}",
    404: "it is not there",
    408: "it does not answer in time; try again later",
    429: "there were too many requests; try again later, or {login}",
    500: "it has a fault (500); try again later",
    502: "it is down (502); try again later",
    503: "it is down (503); try again later",
    504: "it is down (504); try again later",
}


def reason(error: Exception) -> str:
    """Why a server, or the way there, refuses, in a few words."""
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        told = error.response.headers.get("X-Error-Message") or f"status {status}"
        return _STATUSES.get(status, told).format(login=_login())
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "the disk is full; free some of it, or name another folder in HF_HOME"
    text = " ".join(str(error.__cause__ or error).split())
    return text or type(error).__name__


def _login() -> str:
    if get_token() is None:
        return "set HF_TOKEN to a token of yours, or log in with hf auth login"
    return "see that your token (HF_TOKEN, or hf auth login) may read it"
