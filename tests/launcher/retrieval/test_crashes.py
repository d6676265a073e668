"""What a server leaves that is killed, and what becomes of an index that is damaged."""

import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import openai
import pytest

from ..conftest import StartFront
from .embedding_guest import EmbeddingGuest
from .serving import process, serving, until, upload

FILES = 3
TEXT = "\n\n".join(f"Line {n} of the text has the word w{n} and some others." for n in range(200))


def rows(folder: Path, query: str, name: str = "vectors") -> list[Any]:
    with closing(sqlite3.connect(folder / f"{name}.sqlite3")) as database:
        return database.execute(query).fetchall()


def filled(client: openai.OpenAI, *, wait: bool = True) -> str:
    """A store with some files, which are indexed if ``wait``."""
    store = client.vector_stores.create(name="mine", metadata={"a": "b"}).id
    files = [upload(client, f"{n}.txt", f"{TEXT}\n\nThe number is n{n}.") for n in range(FILES)]
    client.vector_stores.file_batches.create(store, file_ids=files, attributes={"kind": "text"})
    if wait:
        until(lambda: done(client, store))
    return store


def done(client: openai.OpenAI, store: str) -> bool:
    return client.vector_stores.retrieve(store).file_counts.completed == FILES


def check_whole(client: openai.OpenAI, store: str, folder: Path) -> None:
    """Every file is there with all its chunks, once, and nothing else."""
    until(lambda: done(client, store))
    hits = client.vector_stores.search(store, query="The number is n2.", max_num_results=1)
    assert [(each.filename, each.attributes) for each in hits] == [("2.txt", {"kind": "text"})]
    for file in client.vector_stores.files.list(store):
        texts = list(client.vector_stores.files.content(file.id, vector_store_id=store))
        assert all(any(f"w{n} " in str(each.text) for each in texts) for n in range(200))
    entries = rows(folder, "SELECT number, chunks FROM entries", "vector_stores")
    assert sorted(entries) == rows(folder, "SELECT entry, count(*) FROM chunks GROUP BY entry")
    (count,) = rows(folder, "SELECT sum(length(vectors)) / 1024 FROM blocks")
    assert count == (sum(chunks for _, chunks in entries),)


@pytest.mark.parametrize("seed", range(2))
def test_a_server_that_is_killed_is_gone_on_from(tmp_path: Path, seed: int) -> None:
    folder, moments = tmp_path / "data", random.Random(seed)
    with process(folder, pause=0.05) as (client, server):
        store = filled(client, wait=False)
        time.sleep(moments.uniform(0, 1.5))
        server.kill()
    with process(folder, pause=0.05) as (client, server):
        client.vector_stores.retrieve(store)
        time.sleep(moments.uniform(0, 1.5))
        server.kill()
    with process(folder) as (client, _):
        check_whole(client, store, folder)


def test_a_server_beside_another_leaves_its_work_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with process(folder, pause=0.2) as (client, server):
        store = filled(client, wait=False)
        guest = EmbeddingGuest()
        with serving(folder, guest) as other:
            assert other.vector_stores.retrieve(store).status == "in_progress"
            assert client.vector_stores.retrieve(store).status == "in_progress"
            assert guest.inputs == []
            server.kill()
            server.wait()
        with process(folder) as (client, _):
            check_whole(client, store, folder)


def test_a_server_goes_on_without_being_asked(tmp_path: Path, start_front: StartFront) -> None:
    """Here with a model whose answers are no vectors, so that files fail."""
    folder = tmp_path / "data"
    with process(folder, pause=5) as (client, _):
        filled(client, wait=False)
    statuses = "SELECT DISTINCT status FROM entries"
    assert rows(folder, statuses, "vector_stores") == [("in_progress",)]
    start_front(data_dir=str(folder))
    until(lambda: rows(folder, statuses, "vector_stores") == [("failed",)])


@pytest.mark.parametrize("damage", ["gone", "garbage", "pages"])
def test_an_index_that_is_damaged_is_made_again(
    tmp_path: Path, guest: EmbeddingGuest, damage: str
) -> None:
    folder = tmp_path / "data"
    with process(folder) as (client, _):
        store = filled(client)
    with closing(sqlite3.connect(folder / "vectors.sqlite3")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path = folder / "vectors.sqlite3"
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "garbage":
        path.write_bytes(b"no database" * 1000)
    else:
        path.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))
    with serving(folder, guest) as client:
        check_whole(client, store, folder)
        assert client.vector_stores.retrieve(store).metadata == {"a": "b"}


def test_an_index_damaged_meanwhile_is_made_again(
    tmp_path: Path, guest: EmbeddingGuest, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "data"
    with serving(folder, guest) as client:
        store = filled(client)
        with closing(sqlite3.connect(folder / "vectors.sqlite3")) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        path = folder / "vectors.sqlite3"
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (path.stat().st_size - 4096))
        with pytest.raises(openai.APIStatusError, match="are being indexed again") as raised:
            for _ in range(20):
                client.vector_stores.search(store, query="w7")
        assert raised.value.status_code == 503
        check_whole(client, store, folder)
    assert "vectors.sqlite3 is damaged; files are indexed again" in caplog.text


def test_a_catalogue_that_is_damaged_is_put_aside(tmp_path: Path, guest: EmbeddingGuest) -> None:
    folder = tmp_path / "data"
    with process(folder) as (client, _):
        store = filled(client)
    path = folder / "vector_stores.sqlite3"
    path.with_name(f"{path.name}-wal").unlink()
    path.write_bytes(b"no database" * 1000)
    with serving(folder, guest) as client:
        with pytest.raises(openai.NotFoundError):
            client.vector_stores.retrieve(store)
        assert rows(folder, "SELECT * FROM blocks") == []
        filled(client)
    assert path.with_name("vector_stores.sqlite3.damaged").exists()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, guest: EmbeddingGuest) -> None:
    tmp_path.joinpath("data").write_text("a file")
    with (
        serving(tmp_path / "data", guest) as client,
        pytest.raises(openai.APIStatusError, match="give another --data-dir") as raised,
    ):
        client.vector_stores.create()
    assert raised.value.status_code == 507


def test_a_store_that_is_deleted_gives_its_place_back(
    tmp_path: Path, guest: EmbeddingGuest
) -> None:
    folder = tmp_path / "data"
    with serving(folder, guest) as client:
        store = filled(client)
        (before,) = rows(folder, "PRAGMA page_count")
        client.vector_stores.delete(store)
        assert rows(folder, "PRAGMA page_count") < [(before[0] // 2,)]
        assert rows(folder, "SELECT * FROM entries", "vector_stores") == []


def test_marks_of_servers_that_are_gone_are_removed(tmp_path: Path, guest: EmbeddingGuest) -> None:
    folder = tmp_path / "data"
    for _ in range(2):
        with process(folder) as (client, _):
            client.vector_stores.list()
            assert len(list(folder.joinpath("indexing").iterdir())) == 1
