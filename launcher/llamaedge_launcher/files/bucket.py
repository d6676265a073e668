"""Files as objects of a store that fsspec reaches, under their ids.

A row of the register makes an object a file, so nobody sees one that is half there. What a server
that is gone was receiving or deleting, the others remove.
"""

import logging
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import fsspec

from ..storage import urls
from ..storage.database import Unreachable
from ..storage.records import Records
from .index import StoredFile
from .kept import PURPOSE
from .names import safe_name
from .register import REGISTER, Register

_log = logging.getLogger(__name__)

_PART = 8 * 1024 * 1024  # bytes that are sent, or fetched, at a time
_PIECE = 1024 * 1024  # bytes of an answer at a time


class Bucket:
    """A FileStore at ``url``, with its register in ``records``."""

    def __init__(self, url: str, records: Records) -> None:
        self._objects = Objects(url)
        self._register = Register(records.database(REGISTER))
        self._owner = records.owner()
        self._sweep()
        records.watch(self._sweep)

    def receive(self, name: str) -> "Incoming":
        """As FileStore's."""
        id_ = f"file_{uuid.uuid4()}"
        self._register.begin(id_, self._owner.name)
        try:
            file = self._objects.create(id_)
        except OSError:
            self._register.forget(id_, self._owner.name)
            raise
        return Incoming(self, file, id_, safe_name(name))

    def keep(self, file: StoredFile) -> None:
        """What arrived is there from now on. Raises OSError."""
        if not self._register.end(file, self._owner.name):
            raise Unreachable(
                "this server was taken for gone while the file arrived; send it again"
            )

    def get(self, id_: str) -> StoredFile | None:
        """As FileStore's."""
        return self._register.get(id_)

    def page(
        self,
        *,
        limit: int,
        newest_first: bool = True,
        after: StoredFile | None = None,
        purpose: str | None = None,
    ) -> list[StoredFile]:
        """As FileStore's."""
        return self._register.page(
            limit=limit, newest_first=newest_first, after=after, purpose=purpose
        )

    def contents(self, file: StoredFile) -> Iterator[bytes]:
        """As FileStore's."""
        return self._objects.read(file.id)

    @contextmanager
    def local(self, file: StoredFile) -> Iterator[Path]:
        """As FileStore's: a copy, which goes with the block."""
        with tempfile.TemporaryDirectory(prefix="llamaedge-") as folder:
            path = Path(folder, file.filename)
            self._objects.fetch(file.id, path)
            yield path

    def delete(self, id_: str) -> bool:
        """As FileStore's."""
        if not self._register.hide(id_, self._owner.name):
            return False
        self.remove(id_)
        return True

    def remove(self, id_: str) -> None:
        """Remove what is out of sight; what cannot be now is when another server looks."""
        try:
            self._objects.remove(id_)
            self._register.forget(id_, self._owner.name)
        except OSError as error:
            _log.warning("%s is not removed yet: %s", id_, error)

    def _sweep(self) -> None:
        """Remove what servers that are gone left half done."""
        unseen = self._register.unseen()
        if not unseen:
            return
        alive, own = self._owner.alive(), self._owner.name
        for id_, owner in unseen:
            if owner not in alive and self._register.take(id_, own, owner):
                self.remove(id_)


class Incoming:
    """An Arriving: an object that is written and has no row yet that says so."""

    def __init__(self, bucket: Bucket, file: BinaryIO, id_: str, name: str) -> None:
        self._bucket = bucket
        self._file = file
        self._id = id_
        self._name = name
        self.size = 0

    def write(self, data: bytes) -> None:
        """As Arriving's."""
        with failing():
            self._file.write(data)
        self.size += len(data)

    def keep(self, purpose: str = PURPOSE) -> StoredFile:
        """As Arriving's."""
        try:
            with failing():
                self._file.close()
            file = StoredFile(self._id, self._name, self.size, time.time_ns(), purpose)
            self._bucket.keep(file)
        except BaseException:
            self.drop()
            raise
        return file

    def drop(self) -> None:
        """As Arriving's."""
        with suppress(OSError), failing():
            self._file.close()
        self._bucket.remove(self._id)


class Objects:
    """Bytes by their names below ``url``. Every method raises OSError.

    Raises ImportError where what fsspec needs for ``url`` is not installed, and ValueError for a
    ``url`` that it does not know.
    """

    def __init__(self, url: str) -> None:
        scheme = urls.scheme(url)
        fsspec.get_filesystem_class(scheme)
        options: dict[str, Any] = {"use_listings_cache": False}
        if scheme in ("file", "local"):
            options["auto_mkdir"] = True
        with failing():
            self._files, self._root = fsspec.url_to_fs(url, **options)

    def try_out(self) -> None:
        """Write something, and remove it."""
        name = f"try-{uuid.uuid4()}"
        with failing(), self.create(name) as file:
            file.write(b"to be removed")
        self.remove(name)

    def create(self, name: str) -> BinaryIO:
        """A file to be written; nothing is there for certain before it is closed."""
        with failing():
            file: BinaryIO = self._files.open(self._path(name), "wb", block_size=_PART)
        return file

    def read(self, name: str) -> Iterator[bytes]:
        """The bytes, in pieces. Raises FileNotFoundError at once."""
        with failing():
            file = self._files.open(self._path(name), "rb", block_size=_PART)
        return _pieces(file)

    def fetch(self, name: str, path: Path) -> None:
        """Copy the bytes to ``path``."""
        with failing():
            self._files.get_file(self._path(name), str(path))

    def remove(self, name: str) -> None:
        """Remove the bytes, if there are any."""
        with failing(), suppress(FileNotFoundError):
            self._files.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file, failing():
        while data := file.read(_PIECE):
            yield data


@contextmanager
def failing() -> Iterator[None]:
    """Raise OSError for the exceptions of all the libraries below fsspec."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        message = f"{type(error).__name__}: {error}".splitlines()[0]
        raise Unreachable(f"the store of files does not answer: {message}") from error
