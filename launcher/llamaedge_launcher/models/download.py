"""Brings one file here: resumed where it broke off, and checked before it is taken for whole."""

import hashlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import httpx2
from huggingface_hub import constants, get_session
from huggingface_hub.utils import hf_raise_for_status

from llamaedge_host.ggml.llama.gguf import MAGIC, GgufError, read

from ..errors import LauncherError
from .sizes import size_text
from .variants import File
from .watch import Watcher

WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each further try, while no byte comes."""
LONGEST_WAIT = 60.0
"""Seconds that a server may ask for; a longer wait is the user's to decide on."""
_PASSING = {408, 429, 500, 502, 503, 504}
_CHUNK = 1 << 20
_SHA256, _SHA1 = 64, 40  # hexadecimal digits


@dataclass(frozen=True)
class Source:
    """Where ``file`` comes from. Its ``size`` is 0 and its ``digest`` "" where nobody tells."""

    file: File
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


class _Cut(Exception):
    """The server or the way to it failed; another try may succeed."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class _Restart(Exception):
    """The server does not go on from where the part ends."""


def fetch(source: Source, part: Path, target: Path, watcher: Watcher) -> None:
    """Bring ``source`` to ``target``, by way of ``part``, which is kept if it fails on the way.

    ``target`` appears at once and whole: its size, checksum, header and tensor table are right.
    Raises LauncherError, and what httpx2 and huggingface-hub raise for a server that refuses.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    with _open(part) as file:
        digest = _Digest(source.file)
        done = digest.read(file, source.file.size)
        _check_room(source.file, done, part.parent)
        watcher.at(source.file, done)
        _fill(source, file, digest, watcher)
        file.flush()
        os.fsync(file.fileno())
    try:
        digest.check()
        _check_gguf(source.file, part)
    except LauncherError:
        part.unlink()
        raise
    part.replace(target)


def _open(part: Path) -> BinaryIO:
    return os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, 0o666), "r+b")


class _Digest:
    """The checksum of what has come so far."""

    def __init__(self, file: File) -> None:
        self._file = file
        self.restart()

    def restart(self) -> None:
        git = len(self._file.digest) == _SHA1
        self._hash = hashlib.sha1(usedforsecurity=False) if git else hashlib.sha256()
        if git:
            self._hash.update(b"blob %d\0" % self._file.size)

    def read(self, part: BinaryIO, size: int) -> int:
        """Take in what ``part`` holds already, and answer how much that is."""
        while chunk := part.read(_CHUNK):
            self._hash.update(chunk)
        if size and part.tell() > size:
            part.seek(0)
            part.truncate()
            self.restart()
        return part.tell()

    def update(self, chunk: bytes) -> None:
        self._hash.update(chunk)

    def check(self) -> None:
        expected, found = self._file.digest, self._hash.hexdigest()
        if len(expected) in (_SHA1, _SHA256) and found != expected:
            raise LauncherError(
                f"{self._file.name} has come damaged: its checksum is {found}, not {expected};"
                " it was thrown away, try again"
            )


def _fill(source: Source, file: BinaryIO, digest: _Digest, watcher: Watcher) -> None:
    """Append what is missing, in as many tries as it takes."""
    size, tries = source.file.size, 0
    while not size or file.tell() < size:
        before = file.tell()
        try:
            for chunk in _stream(source, before):
                file.write(chunk)
                digest.update(chunk)
                watcher.at(source.file, file.tell())
            if not size:
                return
            if file.tell() < size:
                raise _Cut(f"the connection ended at {size_text(file.tell())}")
        except _Restart:
            file.seek(0)
            file.truncate()
            digest.restart()
            if not before:
                raise LauncherError(f"{source.file.name}: the server sends no beginning") from None
        except _Cut as error:
            file.flush()
            tries = 1 if file.tell() > before else tries + 1
            _wait(source.file, error, tries, watcher)
    if size and file.tell() > size:
        file.truncate(size)


def _wait(file: File, error: _Cut, tries: int, watcher: Watcher) -> None:
    """Before another try. Raises LauncherError after the last."""
    wait = WAITS[tries - 1] if error.wait is None and tries <= len(WAITS) else error.wait
    if tries > len(WAITS) or wait is None or wait > LONGEST_WAIT:
        asked = f", which asks to wait {wait:.0f} s" if wait and wait > LONGEST_WAIT else ""
        raise LauncherError(
            f"{file.name} has not come whole: {error}{asked}; the same command goes on from here"
        ) from error
    watcher.waits(file, f"{error}; trying again in {wait:.0f} s")
    time.sleep(wait)


def _stream(source: Source, start: int) -> Iterator[bytes]:
    """The bytes from ``start`` on, of one answer. Raises _Cut, _Restart and LauncherError."""
    headers = {**source.headers, "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        with get_session().stream(
            "GET", source.url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT
        ) as response:
            _check_answer(source.file, response, start)
            at = start
            for chunk in response.iter_bytes():
                if not at and not chunk.startswith(MAGIC[: len(chunk)]):
                    raise LauncherError(_foreign(source.file, chunk))
                at += len(chunk)
                if source.file.size and at > source.file.size:
                    raise LauncherError(
                        f"{source.file.name}: the server sends more than the"
                        f" {source.file.size} bytes that the file has"
                    )
                yield chunk
    except (httpx2.TimeoutException, httpx2.NetworkError, httpx2.RemoteProtocolError) as error:
        raise _Cut(_reason(error)) from error


def _check_answer(file: File, response: httpx2.Response, start: int) -> None:
    status = response.status_code
    if status in _PASSING:
        asked = response.headers.get("Retry-After", "")
        wait = float(asked) if asked.isdigit() else None
        raise _Cut(f"the server answers {status} {response.reason_phrase}", wait)
    if status != 416:
        hf_raise_for_status(response)
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise LauncherError(_foreign(file, b"<html>"))
    if status == 416 or (start and status == 200):
        raise _Restart
    range_, _, total = response.headers.get("Content-Range", "").rpartition("/")
    if start and not range_.startswith(f"bytes {start}-"):
        raise _Restart
    if start and file.size and total.isdigit() and int(total) != file.size:
        raise LauncherError(f"{file.name}: the server has {total} bytes of it, not {file.size}")


def _foreign(file: File, start: bytes) -> str:
    if start.lstrip()[:1] == b"<":
        return (
            f"{file.name}: the server sends a web page instead of the file, as a proxy's log-in"
            " page is; see what a browser shows, and try again"
        )
    return f"{file.name} is no GGUF file: it begins with {start[:8]!r}"


def _reason(error: Exception) -> str:
    if isinstance(error, httpx2.TimeoutException):
        return "nothing comes from the server"
    return " ".join(str(error).split()) or type(error).__name__


def _check_room(file: File, done: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if file.size - done > free:
        raise LauncherError(
            f"{file.name} takes {size_text(file.size - done)}, and {size_text(free)} are free in"
            f" {folder}; free some, or name another folder in HF_HOME"
        )


def _check_gguf(file: File, part: Path) -> None:
    try:
        read(part)
    except GgufError as error:
        raise LauncherError(f"{file.name} cannot be used: {error}") from error
