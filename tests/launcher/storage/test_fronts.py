"""Two public servers on two machines, as it were: each with a data folder of its own."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import openai
import pytest
from databases import Postgres

from llamaedge_launcher.fleet.recipe import Wanted
from llamaedge_launcher.storage import owners

from ..retrieval.embedding_guest import Answer, EmbeddingGuest
from ..retrieval.serving import process, serving, until, upload

TEXT = "\n\n".join(f"Line {n} of the text has the word w{n} and some others." for n in range(60))


class Guest(EmbeddingGuest):
    """Embeds, and answers a chat with what was said so far."""

    @asynccontextmanager
    async def send(
        self, request: bytes, *, wanted: Wanted, computes: bool
    ) -> AsyncIterator[Answer]:
        head, _, body = request.partition(b"\r\n\r\n")
        if b"/v1/embeddings" in head:
            async with super().send(request, wanted=wanted, computes=computes) as answer:
                yield answer
            return
        said = " ".join(str(each["content"]) for each in json.loads(body)["messages"])
        choice = {"message": {"role": "assistant", "content": f"[{said}]"}, "finish_reason": "stop"}
        found = {"id": "c", "model": "m", "choices": [{"index": 0, **choice}]}
        kind = [(b"content-type", b"application/json")]
        yield Answer(200, json.dumps(found).encode(), kind)


Fronts = tuple[openai.OpenAI, openai.OpenAI]


@pytest.fixture
def stores(database: str, objects: str) -> dict[str, str]:
    return {"store_files": objects, "store_records": database}


@pytest.fixture
def fronts(tmp_path: Path, stores: dict[str, str]) -> Iterator[Fronts]:
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(serving(tmp_path / name, Guest(), **stores)) for name in "ab"
        )
        yield first, second


def said(response: Any) -> str:
    text: str = response.output_text
    return text


def test_a_response_of_one_is_continued_and_deleted_at_the_other(fronts: Fronts) -> None:
    first, second = fronts
    made = first.responses.create(model="m", input="one")
    assert said(made) == "[one]"
    assert said(second.responses.retrieve(made.id)) == "[one]"
    after = second.responses.create(model="m", input="two", previous_response_id=made.id)
    assert said(after) == "[one [one] two]"
    second.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        first.responses.retrieve(made.id)
    last = first.responses.create(model="m", input="three", previous_response_id=after.id)
    assert said(last) == "[one [one] two [one [one] two] three]"


def test_a_file_of_one_is_read_and_deleted_at_the_other(fronts: Fronts) -> None:
    first, second = fronts
    content = bytes(range(256)) * 40_000
    id_ = upload(first, "größe.bin", content)
    assert second.files.retrieve(id_).bytes == len(content)
    assert second.files.content(id_).read() == content
    assert [each.id for each in second.files.list()] == [id_]
    http = second._client
    saved = http.get(f"files/download/{id_}")
    assert saved.content == content
    name = "attachment; filename*=utf-8''gr%C3%B6%C3%9Fe.bin"
    assert saved.headers["content-disposition"] == name
    assert saved.headers["x-content-type-options"] == "nosniff"
    head = http.head(f"files/{id_}/content")
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(content)))
    second.files.delete(id_)
    for each in fronts:
        with pytest.raises(openai.NotFoundError):
            each.files.content(id_)
    text = upload(first, "a.txt", "Hello. " * 50)
    body = {"id": text, "filename": "a.txt", "chunk_capacity": 20}
    assert len(http.post("chunks", json=body).json()["chunks"]) > 4


def test_a_vector_store_of_one_is_searched_and_changed_at_the_other(fronts: Fronts) -> None:
    first, second = fronts
    store = first.vector_stores.create(name="\0mine").id
    files = [upload(first, f"{n}.txt", f"{TEXT}\n\nThe number is n{n}.") for n in range(2)]
    first.vector_stores.file_batches.create(store, file_ids=files, attributes={"kind": "text"})
    until(lambda: second.vector_stores.retrieve(store).file_counts.completed == 2)
    hits = second.vector_stores.search(store, query="The number is n1.", max_num_results=1)
    assert [each.filename for each in hits] == ["1.txt"]
    texts = second.vector_stores.files.content(files[0], vector_store_id=store)
    assert sum("w7 " in str(each.text) for each in texts) >= 1
    second.files.delete(files[1])
    hits = first.vector_stores.search(store, query="The number is n1.", max_num_results=1)
    assert [each.filename for each in hits] == ["0.txt"]
    second.vector_stores.update(store, name="ours")
    assert first.vector_stores.retrieve(store).name == "ours"
    second.vector_stores.delete(store)
    with pytest.raises(openai.NotFoundError):
        first.vector_stores.retrieve(store)


def test_what_a_server_that_died_was_indexing_is_indexed_by_another(
    tmp_path: Path, stores: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owners, "LEASE", 2.0)
    monkeypatch.setattr(owners, "BEAT", 0.3)
    guest = EmbeddingGuest()
    with serving(tmp_path / "a", guest, **stores) as client:
        client.vector_stores.list()
        with process(tmp_path / "b", stores, pause=0.3) as (other, dying):
            store = other.vector_stores.create(name="mine").id
            files = [upload(other, f"{n}.txt", f"{TEXT}\n\nThe number is n{n}.") for n in range(2)]
            other.vector_stores.file_batches.create(store, file_ids=files)
            assert client.vector_stores.retrieve(store).file_counts.in_progress == 2
            assert guest.inputs == []
            dying.kill()
            dying.wait()
        until(lambda: client.vector_stores.retrieve(store).file_counts.completed == 2)
        hits = client.vector_stores.search(store, query="The number is n1.", max_num_results=1)
        assert [each.filename for each in hits] == ["1.txt"]
        for file in client.vector_stores.files.list(store):
            texts = list(client.vector_stores.files.content(file.id, vector_store_id=store))
            assert all(any(f"w{n} " in str(each.text) for each in texts) for n in range(60))


def test_stores_that_do_not_answer_are_told_and_used_again(
    tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llamaedge_launcher.storage.postgres._PATIENCE", 1.0)
    stores = {"store_files": f"file://{tmp_path}/objects", "store_records": postgres.database()}
    with serving(tmp_path / "a", Guest(), **stores) as client:
        file = upload(client, "a.txt", "hello")
        made = client.responses.create(model="m", input="one")
        asked: dict[str, Callable[[], object]] = {
            "files": lambda: client.files.retrieve(file),
            "responses": lambda: client.responses.retrieve(made.id),
            "vector stores": lambda: client.vector_stores.list(),
        }
        client.vector_stores.list()
        postgres.stop()
        try:
            for what, ask in asked.items():
                with pytest.raises(openai.APIStatusError, match=f"{what} cannot be had") as raised:
                    ask()
                assert raised.value.status_code == 503
                assert raised.value.response.headers["retry-after"]
                assert "p@ss" not in raised.value.response.text
        finally:
            postgres.start()
        for ask in asked.values():
            until(lambda ask=ask: answers(ask))


def answers(ask: Callable[[], object]) -> bool:
    with suppress(openai.InternalServerError):
        ask()
        return True
    return False
