"""Files in vector stores: what becomes of them."""

import errno
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import httpx
import openai
import pytest
from launcher.pdf import pdf
from openai.types.vector_stores import VectorStoreFile

from llamaedge_launcher.retrieval import indexer
from llamaedge_launcher.retrieval.vectors import VectorIndex

from .embedding_guest import EmbeddingGuest
from .serving import until, upload

LINES = "\n\n".join(f"Line {n} of the text has the word w{n} and some others." for n in range(60))


@pytest.fixture
def store(client: openai.OpenAI) -> str:
    return client.vector_stores.create().id


def added(client: openai.OpenAI, store: str, name: str, text: str | bytes) -> VectorStoreFile:
    file = upload(client, name, text)
    return client.vector_stores.files.create_and_poll(file, vector_store_id=store)


def chunks(client: openai.OpenAI, store: str, file: str) -> list[str | None]:
    page = client.vector_stores.files.content(file, vector_store_id=store)
    assert all(each.type == "text" for each in page)
    return [each.text for each in page]


def static(most: int, overlap: int) -> Any:
    sizes = {"max_chunk_size_tokens": most, "chunk_overlap_tokens": overlap}
    return {"type": "static", "static": sizes}


def test_a_file_is_added_described_changed_and_removed(client: openai.OpenAI, store: str) -> None:
    file = client.vector_stores.files.upload_and_poll(
        vector_store_id=store,
        file=("a.txt", LINES.encode()),
        attributes={"kind": "lines", "number": 1.5, "good": True},
        chunking_strategy=static(100, 0),
    )
    found = client.vector_stores.files.retrieve(file.id, vector_store_id=store)
    assert found == file
    assert file.usage_bytes > len(LINES) - 300
    assert file.to_dict() == {
        "id": file.id,
        "object": "vector_store.file",
        "created_at": file.created_at,
        "vector_store_id": store,
        "status": "completed",
        "usage_bytes": file.usage_bytes,
        "last_error": None,
        "chunking_strategy": static(100, 0),
        "attributes": {"kind": "lines", "number": 1.5, "good": True},
    }
    texts = chunks(client, store, file.id)
    assert "\n\n".join(str(each) for each in texts) == LINES
    changed = client.vector_stores.files.update(
        file.id, vector_store_id=store, attributes={"kind": "others"}
    )
    assert changed.attributes == {"kind": "others"}
    question = "Line 7 of the text has the word w7"
    (hit,) = client.vector_stores.search(store, query=question, max_num_results=1)
    assert hit.attributes == {"kind": "others"}
    assert "w7 " in hit.content[0].text
    gone = client.vector_stores.files.delete(file.id, vector_store_id=store)
    assert gone.to_dict() == {
        "id": file.id,
        "object": "vector_store.file.deleted",
        "deleted": True,
    }
    assert not list(client.vector_stores.search(store, query="w7"))
    assert client.files.retrieve(file.id).filename == "a.txt"
    with pytest.raises(openai.NotFoundError, match="there is no file"):
        client.vector_stores.files.retrieve(file.id, vector_store_id=store)


def test_chunks_share_what_they_overlap(client: openai.OpenAI, store: str) -> None:
    file = upload(client, "a.txt", LINES)
    client.vector_stores.files.create_and_poll(
        file, vector_store_id=store, chunking_strategy=static(100, 50)
    )
    texts = [str(each) for each in chunks(client, store, file)]
    assert len(texts) > 10
    assert all(one[-20:] in other for one, other in pairwise(texts))


def test_deleting_a_file_removes_it_from_every_store(client: openai.OpenAI, store: str) -> None:
    other = client.vector_stores.create().id
    file = added(client, store, "a.txt", "The sea is deep.").id
    client.vector_stores.files.create_and_poll(file, vector_store_id=other)
    client.files.delete(file)
    for each in (store, other):
        assert not list(client.vector_stores.search(each, query="sea"))
        assert client.vector_stores.retrieve(each).file_counts.total == 0


def test_a_file_that_is_added_again_takes_its_own_place(client: openai.OpenAI, store: str) -> None:
    file = added(client, store, "a.txt", LINES).id
    before = len(chunks(client, store, file))
    client.vector_stores.files.create_and_poll(
        file, vector_store_id=store, chunking_strategy=static(100, 0), attributes={"again": True}
    )
    assert len(chunks(client, store, file)) > before
    assert client.vector_stores.retrieve(store).file_counts.total == 1
    hits = list(client.vector_stores.search(store, query="w7", max_num_results=50))
    assert {str(hit.attributes) for hit in hits} == {"{'again': True}"}


def test_many_adds_at_once_are_all_done(
    client: openai.OpenAI, guest: EmbeddingGuest, store: str
) -> None:
    guest.pause = 0.01

    def add(number: int) -> str:
        return added(client, store, f"{number}.txt", f"{LINES} The number is n{number}.").status

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(add, range(16))) == {"completed"}
    assert guest.most <= 2
    assert len(list(client.vector_stores.search(store, query="number", max_num_results=50))) == 50
    names = client.vector_stores.search(store, query="The number is n11.", max_num_results=1)
    assert [each.filename for each in names] == ["11.txt"]


def test_chunks_go_to_the_model_many_at_a_time(
    client: openai.OpenAI, guest: EmbeddingGuest, store: str
) -> None:
    file = upload(client, "a.txt", LINES)
    client.vector_stores.files.create_and_poll(
        file, vector_store_id=store, chunking_strategy=static(100, 0)
    )
    number = len(chunks(client, store, file))
    assert number >= 8
    assert len(guest.inputs) == 2 + (number - 1) // 16


def test_a_chunk_longer_than_the_model_takes_is_embedded_in_parts(
    client: openai.OpenAI, guest: EmbeddingGuest, store: str
) -> None:
    guest.longest = 20
    file = added(client, store, "a.txt", LINES)
    assert file.status == "completed"
    (hit,) = client.vector_stores.search(store, query="w40 w41 w42", max_num_results=1)
    assert "w41" in hit.content[0].text


def test_vectors_may_come_as_numbers(
    client: openai.OpenAI, guest: EmbeddingGuest, store: str
) -> None:
    guest.base64 = False
    assert added(client, store, "a.txt", "the sea").status == "completed"
    (hit,) = client.vector_stores.search(store, query="the sea")
    assert hit.score == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.md", b"# Sea\n\nIt is deep.", "# Sea\n\nIt is deep."),
        ("a.py", b"def sea():\n    return 1\n", "def sea():\n    return 1"),
        ("a.json", b'{"sea": 1}', '{"sea": 1}'),
        ("noname", "Das Meer ist tief, größer".encode(), "Das Meer ist tief, größer"),
        ("a.txt", b"\xef\xbb\xbfsea", "sea"),
        ("a.txt", "tiefe See".encode("utf-16"), "tiefe See"),
        (
            "a.html",
            b"<title>Sea</title><style>p {}</style><h1>The&nbsp;sea</h1><p>is <b>deep</b>"
            b"<script>var x;</script>",
            "Sea\n\nThe\xa0sea\n\nis deep",
        ),
        ("a.pdf", pdf("The sea is deep"), "The sea is deep"),
    ],
)
def test_a_text_is_read_whatever_its_format(
    client: openai.OpenAI, store: str, name: str, content: bytes, text: str
) -> None:
    file = added(client, store, name, content)
    assert file.status == "completed", file.last_error
    assert chunks(client, store, file.id) == [text]


@pytest.mark.parametrize(
    ("name", "content", "code", "message"),
    [
        ("a.txt", b"", "invalid_file", "there is no text in 'a.txt'"),
        ("a.txt", b" \n\n ", "invalid_file", "there is no text in 'a.txt'"),
        ("a.txt", b"\xff\x00abc", "unsupported_file", "'a.txt' is not taken: it is not UTF-8"),
        ("a.bin", b"abc\0def", "unsupported_file", "it has NUL characters"),
        ("a.png", b"\x89PNG\r\n\x1a\n", "unsupported_file", "is not UTF-8 at byte 0, and no PDF"),
        ("a.pdf", b"%PDF-1.4 nothing", "unsupported_file", "is a PDF that cannot be read"),
    ],
)
def test_a_file_that_has_no_text_says_so(
    client: openai.OpenAI, store: str, name: str, content: bytes, code: str, message: str
) -> None:
    file = added(client, store, name, content)
    assert file.status == "failed"
    assert file.last_error is not None
    assert file.last_error.code == code
    assert message in file.last_error.message
    assert client.vector_stores.retrieve(store).file_counts.failed == 1
    response = httpx.get(f"{client.base_url}vector_stores/{store}/files/{file.id}/content")
    assert response.status_code == 400
    assert "is failed" in response.json()["error"]["message"]


def test_files_are_listed_by_status_and_in_pages(client: openai.OpenAI, store: str) -> None:
    made = [added(client, store, f"{n}.txt", f"text {n}").id for n in range(4)]
    failed = added(client, store, "x.txt", "").id
    files = client.vector_stores.files
    assert [each.id for each in files.list(store, limit=2)] == [failed, *made[::-1]]
    assert [each.id for each in files.list(store, filter="failed")] == [failed]
    assert [each.id for each in files.list(store, filter="completed", order="asc")] == made
    page = files.list(store, order="asc", after=made[0], limit=2)
    assert [each.id for each in page.data] == made[1:3]
    assert page.has_more
    page = files.list(store, order="asc", before=made[2])
    assert [each.id for each in page.data] == made[:2]


def test_a_batch_is_followed_and_listed(client: openai.OpenAI, store: str) -> None:
    batches = client.vector_stores.file_batches
    batch = batches.upload_and_poll(
        store, files=[(f"{n}.txt", f"text {n}".encode()) for n in range(5)]
    )
    assert batch.status == "completed"
    assert batch.file_counts.to_dict() == {
        "in_progress": 0,
        "completed": 5,
        "failed": 0,
        "cancelled": 0,
        "total": 5,
    }
    listed = batches.list_files(batch.id, vector_store_id=store, limit=2)
    assert len(list(listed)) == 5
    files = [upload(client, "a.txt", "sea"), upload(client, "b.txt", "")]
    one, other = files
    mixed = batches.create_and_poll(
        store, files=[{"file_id": one, "attributes": {"a": 1}}, {"file_id": other}]
    )
    assert (mixed.status, mixed.file_counts.completed, mixed.file_counts.failed) == (
        "completed",
        1,
        1,
    )
    file = client.vector_stores.files.retrieve(one, vector_store_id=store)
    assert file.attributes == {"a": 1}
    with pytest.raises(openai.NotFoundError, match="no file batch"):
        batches.retrieve("vsfb_x", vector_store_id=store)


def test_a_batch_is_cancelled(client: openai.OpenAI, guest: EmbeddingGuest, store: str) -> None:
    files = [upload(client, f"{n}.txt", LINES) for n in range(4)]
    guest.pause = 0.3
    batch = client.vector_stores.file_batches.create(store, file_ids=files)
    assert batch.status == "in_progress"
    cancelled = client.vector_stores.file_batches.cancel(batch.id, vector_store_id=store)
    assert cancelled.status == "cancelled"
    assert cancelled.file_counts.cancelled + cancelled.file_counts.completed == 4
    guest.pause = 0
    until(lambda: guest.running == 0)
    completed = cancelled.file_counts.completed
    assert client.vector_stores.retrieve(store).file_counts.completed == completed
    assert len({hit.file_id for hit in client.vector_stores.search(store, query="w7")}) == completed


def test_no_embedding_model_is_told_at_once(
    client: openai.OpenAI, guest: EmbeddingGuest, store: str
) -> None:
    file = upload(client, "a.txt", "sea")
    guest.model = None
    message = "no embedding model; start it with one: llamaedge run --embeddings demo"
    with pytest.raises(openai.BadRequestError, match=message):
        client.vector_stores.files.create(store, file_id=file)
    with pytest.raises(openai.BadRequestError, match=message):
        client.vector_stores.create(file_ids=[file])
    assert client.vector_stores.retrieve(store).file_counts.total == 0
    guest.model = "words"
    client.vector_stores.files.create_and_poll(file, vector_store_id=store)
    guest.model = None
    with pytest.raises(openai.BadRequestError, match=message):
        client.vector_stores.search(store, query="sea")


@pytest.mark.parametrize("change", [{"model": "others"}, {"size": 32}, {"model": "x", "size": 32}])
def test_another_embedding_model_is_told(
    client: openai.OpenAI, guest: EmbeddingGuest, store: str, change: dict[str, Any]
) -> None:
    added(client, store, "a.txt", "sea")
    vars(guest).update(change)
    message = f"are the embedding model words's, of 256 numbers, .* {guest.model}, of {guest.size};"
    with pytest.raises(openai.BadRequestError, match=message):
        client.vector_stores.search(store, query="sea")
    with pytest.raises(openai.BadRequestError, match=message):
        client.vector_stores.files.create(store, file_id=upload(client, "b.txt", "sea"))
    other = client.vector_stores.create().id
    assert added(client, other, "b.txt", "sea").status == "completed"
    vars(guest).update(model="words", size=256)
    assert len(list(client.vector_stores.search(store, query="sea"))) == 1


def test_a_model_may_go_by_another_name(
    client: openai.OpenAI, guest: EmbeddingGuest, store: str
) -> None:
    added(client, store, "a.txt", "sea")
    guest.strict, guest.name = True, "others"
    assert len(list(client.vector_stores.search(store, query="sea"))) == 1
    assert added(client, store, "b.txt", "sea").status == "completed"


def test_indexing_waits_for_a_model_that_is_being_loaded(
    client: openai.OpenAI, guest: EmbeddingGuest, store: str
) -> None:
    file = upload(client, "a.txt", "sea")
    guest.busy = 5
    added = client.vector_stores.files.create_and_poll(file, vector_store_id=store)
    assert added.status == "completed"
    guest.busy = 2
    with pytest.raises(openai.APIStatusError) as gone:
        client.vector_stores.search(store, query="sea")
    assert gone.value.status_code == 502
    with pytest.raises(openai.APIStatusError) as loading:
        client.vector_stores.search(store, query="sea")
    assert loading.value.status_code == 503


def test_indexing_gives_up_in_the_end(
    client: openai.OpenAI, guest: EmbeddingGuest, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexer, "PATIENCE", 0.2)
    guest.busy = 1000
    file = added(client, store, "a.txt", "sea")
    assert file.status == "failed"
    assert file.last_error is not None
    assert file.last_error.code == "server_error"
    assert "did not answer" in file.last_error.message


def test_a_full_disk_fails_a_file_and_no_more(
    client: openai.OpenAI, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(VectorIndex, "add", full)
        file = added(client, store, "a.txt", "sea")
    assert file.status == "failed"
    assert file.last_error is not None
    assert file.last_error.to_dict() == {
        "code": "server_error",
        "message": "No space left on device",
    }
    assert added(client, store, "b.txt", "sea").status == "completed"
    assert [each.filename for each in client.vector_stores.search(store, query="sea")] == ["b.txt"]
