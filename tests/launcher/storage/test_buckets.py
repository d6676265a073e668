"""Files as objects that several servers see: a folder that all have mounted, or S3's."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import fsspec
import pytest

from llamaedge_launcher.files import bucket as bucket_module
from llamaedge_launcher.files.bucket import Bucket
from llamaedge_launcher.files.index import StoredFile
from llamaedge_launcher.files.register import REGISTER
from llamaedge_launcher.storage import owners
from llamaedge_launcher.storage.database import Unreachable
from llamaedge_launcher.storage.records import FolderRecords, PostgresRecords

from ..retrieval.serving import until
from .conftest import OpenRecords

OpenBucket = Callable[[], Bucket]


@pytest.fixture
def open_bucket(open_records: OpenRecords, objects: str) -> OpenBucket:
    """Opens the same bucket again and again, each time as another server does."""
    return lambda: Bucket(objects, open_records())


def add(bucket: Bucket, content: bytes = b"x", name: str = "a.txt", **more: str) -> StoredFile:
    incoming = bucket.receive(name)
    incoming.write(content)
    return incoming.keep(**more)


def read(bucket: Bucket, file: StoredFile) -> bytes:
    return b"".join(bucket.contents(file))


def names(objects: str) -> set[str]:
    """What lies in the store."""
    files, root = fsspec.url_to_fs(objects)
    with suppress(FileNotFoundError):
        return {each.rpartition("/")[2] for each in files.find(root)}
    return set()


def test_what_one_server_takes_another_has(open_bucket: OpenBucket, objects: str) -> None:
    first, second = open_bucket(), open_bucket()
    made = [add(first, bytes(n), f"{n}.md", purpose=f"p{n % 2}") for n in range(4)]
    assert second.page(limit=10, newest_first=False) == made
    assert second.page(limit=2) == [made[3], made[2]]
    assert second.page(limit=2, after=made[2]) == [made[1], made[0]]
    assert second.page(limit=9, purpose="p1") == [made[3], made[1]]
    assert second.get(made[3].id) == made[3]
    assert read(second, made[3]) == bytes(3)
    with second.local(made[2]) as path:
        assert (path.name, path.read_bytes()) == ("2.md", bytes(2))
    assert not path.exists()
    assert second.delete(made[2].id)
    assert first.get(made[2].id) is None
    assert not first.delete(made[2].id)
    assert names(objects) == {each.id for each in made if each != made[2]}
    with pytest.raises(FileNotFoundError):
        first.contents(made[2])


def test_a_file_of_many_parts_is_one(open_bucket: OpenBucket) -> None:
    content = os.urandom(1024) * 20_000
    bucket = open_bucket()
    incoming = bucket.receive("large")
    for start in range(0, len(content), 1_000_000):
        incoming.write(content[start : start + 1_000_000])
    file = incoming.keep()
    assert file.bytes == len(content)
    assert read(open_bucket(), file) == content


def test_what_arrives_is_not_there_yet(open_bucket: OpenBucket, objects: str) -> None:
    first, second = open_bucket(), open_bucket()
    incoming = first.receive("a.txt")
    incoming.write(bytes(10_000_000))
    assert second.page(limit=10) == first.page(limit=10) == []
    incoming.drop()
    assert names(objects) == set()
    assert add(first).bytes == 1
    assert len(second.page(limit=10)) == 1


def test_what_cannot_be_written_leaves_nothing(open_records: OpenRecords, tmp_path: Path) -> None:
    records = open_records()
    place = tmp_path / "objects"
    bucket = Bucket(f"file://{place}", records)
    place.write_text("no folder")
    with pytest.raises(OSError):
        add(bucket)
    place.unlink()
    incoming = bucket.receive("a.txt")
    incoming.write(b"half")
    with records.database(REGISTER).using() as database:
        assert len(database.execute("SELECT id FROM files").fetchall()) == 1
        database.execute("DELETE FROM files")
    with pytest.raises(Unreachable, match="send it again"):
        incoming.keep()
    assert not list(place.iterdir())


def test_a_fault_of_a_library_is_one_of_the_store(open_records: OpenRecords) -> None:
    class Broken:
        def open(self, *_: object, **__: object) -> None:
            raise RuntimeError("the key is wrong\nand more")

    bucket = Bucket("memory://broken", open_records())
    bucket._objects._files = Broken()
    with pytest.raises(Unreachable, match=r"does not answer: RuntimeError: the key is wrong$"):
        bucket.receive("a")
    assert bucket._register.unseen() == []


UPLOAD = """
import sys
from pathlib import Path

from llamaedge_launcher.files.bucket import Bucket
from llamaedge_launcher.storage import owners
from llamaedge_launcher.storage.records import FolderRecords, PostgresRecords

owners.LEASE, owners.BEAT = 2.0, 0.3
objects, records = sys.argv[1:]
opened = PostgresRecords(records) if "://" in records else FolderRecords(Path(records))
bucket = Bucket(objects, opened)
kept = bucket.receive("kept")
kept.write(b"whole")
print(kept.keep().id, flush=True)
half = bucket.receive("half")
half.write(bytes(9_000_000))
print("half", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def uploading(objects: str) -> Iterator[Callable[[str], "subprocess.Popen[str]"]]:
    """Starts a server that has kept one file and is receiving another."""
    started = []

    def start(records: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", UPLOAD, objects, records]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True))
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.communicate()


def test_a_server_that_dies_while_a_file_arrives_leaves_nothing_half(
    database: str,
    objects: str,
    uploading: Callable[[str], "subprocess.Popen[str]"],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The others remove what it has left, once its lease has run out, and not before."""
    monkeypatch.setattr(owners, "LEASE", 2.0)
    monkeypatch.setattr(owners, "BEAT", 0.3)
    process = uploading(database)
    assert process.stdout is not None
    kept = process.stdout.readline().strip()
    assert process.stdout.readline() == "half\n"
    records = PostgresRecords(database)
    bucket = Bucket(objects, records)
    assert [each.id for each in bucket.page(limit=10)] == [kept]
    assert len(bucket._register.unseen()) == 1
    process.kill()
    until(lambda: bucket._register.unseen() == [])
    assert names(objects) == {kept}
    assert [each.id for each in bucket.page(limit=10)] == [kept]
    records.close()


def test_a_server_that_comes_after_one_that_died_removes_what_it_left(
    objects: str, tmp_path: Path, uploading: Callable[[str], "subprocess.Popen[str]"]
) -> None:
    """Of one machine: they know at once who is gone."""

    def open_bucket() -> Bucket:
        return Bucket(objects, FolderRecords(tmp_path / "records"))

    process = uploading(str(tmp_path / "records"))
    assert process.stdout is not None
    kept = process.stdout.readline().strip()
    assert process.stdout.readline() == "half\n"
    assert len(open_bucket()._register.unseen()) == 1
    process.kill()
    process.wait()
    assert open_bucket()._register.unseen() == []
    assert names(objects) == {kept}


def test_what_cannot_be_removed_now_is_removed_later(
    open_records: OpenRecords, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = f"file://{tmp_path / 'objects'}"
    records = open_records()
    bucket = Bucket(objects, records)
    file = add(bucket)

    def refuse(*_: object) -> None:
        raise OSError("not now")

    with monkeypatch.context() as patch:
        patch.setattr(bucket_module.Objects, "remove", refuse)
        assert bucket.delete(file.id)
    assert bucket.get(file.id) is None
    assert names(objects) == {file.id}
    records.owner().close()
    assert Bucket(objects, open_records()).page(limit=10) == []
    assert names(objects) == set()
