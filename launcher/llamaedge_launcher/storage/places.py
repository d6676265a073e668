"""Where a server keeps what clients leave with it, as its options say."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import LauncherError
from . import urls

if TYPE_CHECKING:
    from ..files.kept import FileStore
    from .records import Records

INSTALL = "pip install 'llamaedge-host[store]'"


@dataclass(frozen=True, kw_only=True)
class Places:
    """Both are in the folder ``data_dir``, unless ``files`` and ``records`` are URLs of stores."""

    data_dir: Path
    files: str | None = field(default=None, repr=False)
    records: str | None = field(default=None, repr=False)

    @property
    def are_shared(self) -> bool:
        """Whether servers on other machines may have the same."""
        return self.files is not None and self.records is not None

    def open_records(self) -> "Records":
        """The records. Nothing is asked of them yet."""
        from .records import FolderRecords, PostgresRecords

        return PostgresRecords(self.records) if self.records else FolderRecords(self.data_dir)

    def open_files(self, records: "Records") -> "FileStore":
        """The files. Raises OSError."""
        if not self.files:
            from ..files.archive import Archive

            return Archive(self.data_dir)
        from ..files.bucket import Bucket

        return Bucket(self.files, records)

    def check(self) -> None:
        """Raise LauncherError where a URL's store cannot be used now, or not at all."""
        if self.records:
            _check_records(self.records)
        if self.files:
            _check_files(self.files)


def _check_records(url: str) -> None:
    what = f"{urls.RECORDS} {urls.shown(url)}"
    try:
        from . import postgres
    except ImportError as error:
        raise LauncherError(f"{what} needs an extra: {INSTALL}") from error
    try:
        postgres.check(url)
        postgres.try_out(url)
    except (ValueError, OSError) as error:
        raise LauncherError(f"{what}: {error}") from error


def _check_files(url: str) -> None:
    from ..files.bucket import Objects

    what = f"{urls.FILES} {urls.shown(url)}"
    try:
        Objects(url).try_out()
    except ImportError as error:
        extra = INSTALL if urls.scheme(url) in ("s3", "s3a") else error
        raise LauncherError(f"{what} needs what is not installed: {extra}") from error
    except ValueError as error:
        raise LauncherError(f"{what}: fsspec has no such store: {error}") from error
    except OSError as error:
        raise LauncherError(f"{what}: nothing can be kept there: {error}") from error
