"""LlamaEdge's own releases of llama-api-server.wasm: fetched once, and the same ever after.

A guest runs in a sandbox, but sees every request. Its releases are not signed, so a person says
which checksum is right, or trusts what came first; from then on only that is run.
"""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from llamaedge_host import HostError
from llamaedge_host.whole_file import write_whole

from .errors import LauncherError

RELEASES = "https://github.com/LlamaEdge/LlamaEdge/releases/download"
OFFICIAL = "official"
_FILE, _NOTE = "llama-api-server.wasm", "sha256"
_VERSION = re.compile(r"\d[\w.+-]*")
_MOST = 100_000_000  # bytes
_SECONDS = 30.0


@dataclass(frozen=True)
class Guest:
    """A release that is here, and the SHA-256 that it had when it was trusted."""

    version: str
    sha256: str
    path: Path


def here() -> tuple[Guest, ...]:
    """The releases that are here, the newest first."""
    found = (_at(each.parent) for each in _folder().glob(f"*/{_NOTE}"))
    return tuple(sorted(found, key=lambda each: _order(each.version), reverse=True))


def find(name: str) -> Path:
    """The file of ``official@VERSION``, or of ``official``, the newest that is here.

    Raises LauncherError if it is not here, or is not what it was when it was trusted.
    """
    version = name.removeprefix(OFFICIAL).removeprefix("@")
    found = next((each for each in here() if version in ("", each.version)), None)
    if found is None:
        wanted = version or "VERSION"
        raise LauncherError(
            f"--guest: {name} is not here; fetch it: llamaedge guests fetch {wanted}"
            " --sha256 CHECKSUM, or --trust"
        )
    _check(found)
    return found.path


def fetch(version: str, *, sha256: str | None) -> Guest:
    """Bring the release ``version`` here, if its checksum is ``sha256``; None trusts any.

    Raises LauncherError if it cannot be had, is no module, or another than expected.
    """
    if not _VERSION.fullmatch(version):
        raise LauncherError(f"{version!r} is no version, such as 0.28.1", exit_code=2)
    wasm = _download(f"{RELEASES}/{version}/{_FILE}")
    found = hashlib.sha256(wasm).hexdigest()
    if sha256 is not None and found != sha256.lower():
        raise LauncherError(f"the release {version} has the SHA-256 {found}, not {sha256}")
    known = next((each for each in here() if each.version == version), None)
    if sha256 is None and known is not None and known.sha256 != found:
        raise LauncherError(
            f"the release {version} has changed: its SHA-256 is {found}, and was {known.sha256};"
            f" if that is right: --sha256 {found}"
        )
    folder = _folder() / version
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / _FILE, wasm)
        write_whole(folder / _NOTE, found.encode())
    except OSError as error:
        raise LauncherError(f"cannot write {folder}: {error.strerror}") from error
    return Guest(version, found, folder / _FILE)


def _folder() -> Path:
    root = os.environ.get("LLAMAEDGE_CACHE_DIR") or platformdirs.user_cache_path("llamaedge")
    return Path(root) / "guests"


def _at(folder: Path) -> Guest:
    return Guest(folder.name, (folder / _NOTE).read_text(), folder / _FILE)


def _check(guest: Guest) -> None:
    try:
        found = hashlib.sha256(guest.path.read_bytes()).hexdigest()
    except OSError as error:
        raise LauncherError(f"--guest: cannot read {guest.path}: {error.strerror}") from error
    if found != guest.sha256:
        raise LauncherError(
            f"--guest: {guest.path} has changed: its SHA-256 is {found}, not {guest.sha256};"
            f" fetch it again: llamaedge guests fetch {guest.version} --sha256 {guest.sha256}"
        )


def _download(url: str) -> bytes:
    import httpx

    from llamaedge_host.modules import check_wasm

    data = bytearray()
    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=_SECONDS) as answer:
            if answer.status_code == httpx.codes.NOT_FOUND:
                raise LauncherError(f"there is no such release: {url}")
            answer.raise_for_status()
            for chunk in answer.iter_bytes():
                data += chunk
                if len(data) > _MOST:
                    raise LauncherError(f"{url} is too large for a server")
    except httpx.HTTPStatusError as error:
        raise LauncherError(f"{url} is refused: status {error.response.status_code}") from error
    except httpx.HTTPError as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise LauncherError(f"{url} cannot be fetched: {reason}") from error
    try:
        check_wasm(bytes(data[:8]), url)
    except HostError as error:
        raise LauncherError(str(error)) from error
    return bytes(data)


def _order(version: str) -> list[tuple[int, str]]:
    """By numbers where there are some: 0.9 before 0.28."""
    return [(int(each) if each.isdigit() else -1, each) for each in re.split(r"[.+-]", version)]
