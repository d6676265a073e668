"""Files on disk: what a full disk, a damaged index and other programs do to them."""

import resource
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaedge_launcher.cli.public import give_files
from llamaedge_launcher.files.archive import Archive
from llamaedge_launcher.files.index import StoredFile
from llamaedge_launcher.files.names import safe_name


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    archive = Archive(tmp_path)
    yield archive
    archive.close()


def add(archive: Archive, content: bytes = b"x", name: str = "a.txt", **more: str) -> StoredFile:
    incoming = archive.receive(name)
    try:
        incoming.write(content)
    except OSError:
        incoming.drop()
        raise
    return incoming.keep(**more)


def on_disk(folder: Path) -> set[str]:
    return {each.name for each in (folder / "archives").iterdir()}


def listed(archive: Archive) -> list[StoredFile]:
    return archive.page(limit=1000, newest_first=False)


def fill(folder: Path, limit: int, size: int) -> tuple[list[str], list[str], list[str]]:
    """Add files where none may grow past ``limit`` bytes until one fails; what is there then."""
    archive = Archive(folder)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    kept: list[str] = []
    with pytest.raises(OSError):
        for _ in range(10_000):
            kept.append(add(archive, bytes(size), purpose="batch").id)
    there = [each.id for each in listed(archive)]
    incoming = folder / "incoming"
    return kept, there, [str(each) for each in incoming.glob("*/*")]


@pytest.mark.parametrize(("limit", "size"), [(50_000, 60_000), (100_000, 1)])
def test_a_full_disk_leaves_whole_files(tmp_path: Path, limit: int, size: int) -> None:
    """It is the file, or the index, that cannot grow."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        kept, there, half = process.submit(fill, tmp_path, limit, size).result()
    assert half == []
    assert there == kept
    assert on_disk(tmp_path) == set(kept)
    assert bool(kept) == (size < limit)
    archive = Archive(tmp_path)
    assert [each.id for each in listed(archive)] == kept
    add(archive)
    archive.close()


def cut(index: Path) -> None:
    index.write_bytes(index.read_bytes()[:5000])


def overwrite(index: Path) -> None:
    index.write_bytes(b"no database" * 1000)


def change(index: Path) -> None:
    with sqlite3.connect(index) as database:
        database.execute("DROP TABLE files")
        database.execute("CREATE TABLE files (id TEXT)")
    database.close()


def forget(index: Path) -> None:
    with sqlite3.connect(index) as database:
        database.execute("DELETE FROM files WHERE rowid % 2")
        database.execute("INSERT INTO files VALUES ('file_x', 'n', 1, 1, 'p')")
    database.close()


@pytest.mark.parametrize("damage", [cut, overwrite, change, forget, Path.unlink])
def test_the_index_follows_the_disk(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    archive = Archive(tmp_path)
    made = [add(archive, bytes(n), purpose=("batch", "assistants")[n % 2]) for n in range(5)]
    archive.close()
    damage(tmp_path / "files.sqlite3")
    archive = Archive(tmp_path)
    assert listed(archive) == made
    archive.close()


def test_what_other_programs_remove_is_gone_and_what_they_bring_is_there(
    tmp_path: Path, archive: Archive
) -> None:
    file, other = add(archive), add(archive)
    archive.path(file).unlink()
    assert archive.get(file.id) is None
    assert listed(archive) == [other]
    brought = tmp_path / "archives" / "file_00000000-0000-4000-8000-000000000000"
    brought.mkdir()
    brought.joinpath("b.md").write_bytes(b"four")
    found = archive.get(brought.name)
    assert found is not None
    assert (found.filename, found.bytes, found.purpose) == ("b.md", 4, "assistants")
    brought.joinpath("b.md").unlink()
    brought.joinpath("link").symlink_to("/etc/passwd")
    assert archive.get(brought.name) is None


def test_a_guest_finds_the_files_where_it_looks(tmp_path: Path) -> None:
    shared = tmp_path / "data" / "archives"
    assert give_files((".:x",), tmp_path / "data") == (".:x", f"archives:{shared}")
    assert shared.is_dir()
    assert give_files(("archives:y",), tmp_path / "data") == ("archives:y",)
    tmp_path.joinpath("taken").touch()
    assert give_files((), tmp_path / "taken") == ()


def test_the_uploads_of_a_running_server_are_left_alone(tmp_path: Path, archive: Archive) -> None:
    incoming = archive.receive("a.txt")
    incoming.write(b"half")
    Archive(tmp_path).close()
    incoming.write(b"whole")
    file = incoming.keep()
    assert archive.path(file).read_bytes() == b"halfwhole"


@given(st.text(max_size=400))
def test_any_name_becomes_one_that_any_disk_takes(name: str) -> None:
    safe = safe_name(name)
    assert 0 < len(safe.encode()) <= 255
    assert safe not in (".", "..")
    assert safe.isprintable()
    assert not set(safe) & set("/\\")
    assert safe_name(safe) == safe
