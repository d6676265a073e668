"""Files in a folder, as LlamaEdge's servers keep them: archives/<id>/<name>.

A file arrives in a folder of its own below incoming/, which is then renamed: that is the
moment from which it is there, whole. The index is made of the folders again whenever it does
not agree with them.
"""

import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ..locks import hold, locked
from ..storage.sqlite import SqliteDatabase
from . import ARCHIVES
from .index import INDEX, Index, StoredFile
from .kept import PURPOSE
from .names import safe_name

_ID = re.compile(r"file_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Archive:
    """A FileStore below ``folder``, which several servers of a machine may share.

    Raises OSError where the folder cannot be used; so do all methods.
    """

    def __init__(self, folder: Path) -> None:
        self._archives = folder / ARCHIVES
        self._purposes = folder / "purposes"
        self._incoming = folder / "incoming"
        for each in (self._archives, self._purposes, self._incoming):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(folder):
            self._sweep()
            self._staging = self._incoming / uuid.uuid4().hex
            self._staging.mkdir(mode=0o700)
            self._held = hold(self._staging)
        self._index = Index(SqliteDatabase(folder, INDEX))
        self._agree()

    def close(self) -> None:
        """Close the index and give up what is half there."""
        self._index.close()
        shutil.rmtree(self._staging, ignore_errors=True)
        if self._held is not None:
            os.close(self._held)

    def receive(self, name: str) -> "Incoming":
        """A new file of about this name, to be written and then kept or dropped."""
        return Incoming(self, self._staging, safe_name(name))

    def keep(self, id_: str, staged: Path, purpose: str) -> StoredFile:
        """Take in the folder ``staged``: wholly, or not at all."""
        place = self._archives / id_
        try:
            if purpose != PURPOSE:
                self._purposes.joinpath(id_).write_text(purpose)
            staged.rename(place)
            _sync(self._archives)
            file = self._read(id_)
            if file is None:
                raise FileNotFoundError(f"{place} is empty")
            self._index.put(file)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            self._purposes.joinpath(id_).unlink(missing_ok=True)
            raise
        return file

    def get(self, id_: str) -> StoredFile | None:
        """The file of this id, if it is there."""
        if not _ID.fullmatch(id_):
            return None
        file = self._index.get(id_)
        if file is None or not self.path(file).is_file():
            file = self._read(id_)
            if file is None:
                self._index.remove([id_])
            else:
                self._index.put(file)
        return file

    def path(self, file: StoredFile) -> Path:
        """Where it lies."""
        return self._archives / file.id / file.filename

    def contents(self, file: StoredFile) -> Path:
        """As FileStore's."""
        return self.path(file)

    @contextmanager
    def local(self, file: StoredFile) -> Iterator[Path]:
        """As FileStore's."""
        yield self.path(file)

    def page(
        self,
        *,
        limit: int,
        newest_first: bool = True,
        after: StoredFile | None = None,
        purpose: str | None = None,
    ) -> list[StoredFile]:
        """At most ``limit`` files in the order of time, those that come after ``after``."""
        return self._index.page(
            limit=limit, newest_first=newest_first, after=after, purpose=purpose
        )

    def delete(self, id_: str) -> bool:
        """Whether there was such a file; there is none afterwards."""
        if self.get(id_) is None:
            return False
        gone = self._staging / f"{uuid.uuid4().hex}.deleted"
        try:
            self._archives.joinpath(id_).rename(gone)
        except FileNotFoundError:
            return False
        self._index.remove([id_])
        self._purposes.joinpath(id_).unlink(missing_ok=True)
        shutil.rmtree(gone, ignore_errors=True)
        return True

    def _read(self, id_: str) -> StoredFile | None:
        """What the disk says of this id."""
        try:
            found = [each for each in os.scandir(self._archives / id_) if _is_file(each)]
            if not found:
                return None
            status = found[0].stat(follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            purpose = self._purposes.joinpath(id_).read_text()
        except FileNotFoundError:
            purpose = PURPOSE
        return StoredFile(id_, found[0].name, status.st_size, status.st_mtime_ns, purpose)

    def _agree(self) -> None:
        """Let the index hold what the folders hold."""
        there = {each.name for each in os.scandir(self._archives) if _ID.fullmatch(each.name)}
        known = self._index.ids()
        self._index.remove(known - there)
        for id_ in there - known:
            file = self._read(id_)
            if file is not None:
                self._index.put(file)

    def _sweep(self) -> None:
        """Remove what servers that are no longer there left half done."""
        for each in self._incoming.iterdir():
            held = hold(each)
            if held is not None:
                shutil.rmtree(each, ignore_errors=True)
                os.close(held)


class Incoming:
    """A file that arrives; ``size`` are the bytes so far."""

    def __init__(self, archive: Archive, staging: Path, name: str) -> None:
        self._archive = archive
        self._id = f"file_{uuid.uuid4()}"
        self._folder = staging / self._id
        self._folder.mkdir(mode=0o700)
        self.size = 0
        try:
            self._file: BinaryIO = self._folder.joinpath(name).open("xb")
        except OSError:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def write(self, data: bytes) -> None:
        """Add ``data``. Raises OSError."""
        self._file.write(data)
        self.size += len(data)

    def keep(self, purpose: str = PURPOSE) -> StoredFile:
        """Make it a file of the archive. Raises OSError, and then nothing is left of it."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            _sync(self._folder)
            return self._archive.keep(self._id, self._folder, purpose)
        except BaseException:
            self.drop()
            raise

    def drop(self) -> None:
        """Leave nothing of it."""
        with suppress(OSError):
            self._file.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _is_file(entry: "os.DirEntry[str]") -> bool:
    return entry.is_file(follow_symlinks=False) and entry.name.isprintable()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
