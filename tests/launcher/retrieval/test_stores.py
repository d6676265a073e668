"""Vector stores, as OpenAI's client uses them."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from .embedding_guest import EmbeddingGuest
from .serving import serving, upload

SEA = "The sea is deep and full of fish. Whales sing in the cold water."
BREAD = "Bread is made of flour, water, yeast and salt. The oven must be hot."
MOON = "The moon goes round the earth in a month. Craters cover its far side."
TEXTS = {"sea.txt": SEA, "bread.md": f"# Bread\n\n{BREAD}\n", "moon.txt": MOON}


@pytest.fixture
def store(client: openai.OpenAI) -> str:
    """A store with three files, each with an attribute."""
    id_ = client.vector_stores.create(name="texts").id
    for number, (name, text) in enumerate(TEXTS.items()):
        added = client.vector_stores.files.create_and_poll(
            upload(client, name, text),
            vector_store_id=id_,
            attributes={"name": name.partition(".")[0], "number": number, "odd": number == 1},
        )
        assert added.status == "completed", added
    return id_


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    """A server for tests that leave it as it was."""
    with serving(tmp_path_factory.mktemp("data"), EmbeddingGuest()) as client:
        yield client


def found(client: openai.OpenAI, store: str, query: Any, **options: Any) -> list[str]:
    return [each.filename for each in client.vector_stores.search(store, query=query, **options)]


def test_a_store_is_made_changed_and_deleted(client: openai.OpenAI) -> None:
    before = int(time.time())
    made = client.vector_stores.create(
        name="mine",
        metadata={"a": "b"},
        expires_after={"anchor": "last_active_at", "days": 7},
    )
    assert made.id.startswith("vs_")
    assert before <= made.created_at <= time.time()
    assert made.last_active_at is not None
    assert made.expires_at == made.last_active_at + 7 * 86400
    assert made.to_dict() == {
        "id": made.id,
        "object": "vector_store",
        "created_at": made.created_at,
        "name": "mine",
        "description": "",
        "usage_bytes": 0,
        "file_counts": {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0},
        "status": "completed",
        "expires_after": {"anchor": "last_active_at", "days": 7},
        "expires_at": made.expires_at,
        "last_active_at": made.last_active_at,
        "metadata": {"a": "b"},
    }
    assert client.vector_stores.retrieve(made.id) == made
    changed = client.vector_stores.update(made.id, name="yours", metadata={}, expires_after=None)
    assert (changed.name, changed.metadata, changed.expires_at) == ("yours", {}, None)
    assert client.vector_stores.retrieve(made.id) == changed
    assert client.vector_stores.delete(made.id).to_dict() == {
        "id": made.id,
        "object": "vector_store.deleted",
        "deleted": True,
    }
    with pytest.raises(openai.NotFoundError, match="there is no vector store"):
        client.vector_stores.retrieve(made.id)


def test_a_search_finds_the_chunk_that_is_meant(client: openai.OpenAI, store: str) -> None:
    page = client.vector_stores.search(store, query="What do whales do in the water?")
    assert page.object == "vector_store.search_results.page"
    assert page.to_dict()["search_query"] == ["What do whales do in the water?"]
    first, *others = page.data
    assert first.filename == "sea.txt"
    assert [part.text for part in first.content] == [SEA]
    assert first.attributes == {"name": "sea", "number": 0, "odd": False}
    assert client.files.retrieve(first.file_id).filename == "sea.txt"
    scores = [each.score for each in page.data]
    assert scores == sorted(scores, reverse=True)
    assert 0.3 < scores[0] <= 1
    assert len(others) == 2
    (exact,) = client.vector_stores.search(store, query=MOON, max_num_results=1)
    assert exact.score == pytest.approx(1.0, abs=1e-4)


def test_several_questions_are_asked_at_once(client: openai.OpenAI, store: str) -> None:
    questions = ["flour, yeast and salt", "craters on its far side"]
    names = found(client, store, questions, max_num_results=2)
    assert set(names) == {"bread.md", "moon.txt"}


def test_a_search_is_narrowed_by_score_and_number(client: openai.OpenAI, store: str) -> None:
    assert found(client, store, SEA, max_num_results=2)[0] == "sea.txt"
    assert len(found(client, store, SEA, max_num_results=2)) == 2
    assert found(client, store, SEA, ranking_options={"score_threshold": 0.9}) == ["sea.txt"]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"type": "eq", "key": "name", "value": "sea"}, {"sea.txt"}),
        ({"type": "ne", "key": "name", "value": "sea"}, {"bread.md", "moon.txt"}),
        ({"type": "gte", "key": "number", "value": 1}, {"bread.md", "moon.txt"}),
        ({"type": "in", "key": "number", "value": [0, 2.0]}, {"sea.txt", "moon.txt"}),
        ({"type": "eq", "key": "odd", "value": True}, {"bread.md"}),
        ({"type": "eq", "key": "odd", "value": 1}, set()),
        (
            {
                "type": "or",
                "filters": [
                    {"type": "eq", "key": "name", "value": "moon"},
                    {
                        "type": "and",
                        "filters": [
                            {"type": "lt", "key": "number", "value": 2},
                            {"type": "nin", "key": "name", "value": ["bread"]},
                        ],
                    },
                ],
            },
            {"sea.txt", "moon.txt"},
        ),
    ],
)
def test_a_search_is_narrowed_by_attributes(
    client: openai.OpenAI, store: str, filters: Any, names: set[str]
) -> None:
    assert set(found(client, store, "water", filters=filters)) == names


def test_stores_are_listed_in_pages(client: openai.OpenAI) -> None:
    made = [client.vector_stores.create(name=str(n)).id for n in range(7)]
    assert [each.id for each in client.vector_stores.list(limit=3)] == made[::-1]
    assert [each.id for each in client.vector_stores.list(order="asc", limit=2)] == made
    page = client.vector_stores.list(order="asc", limit=2, before=made[4])
    assert [each.id for each in page.data] == made[2:4]
    assert page.has_more
    assert page.to_dict()["first_id"] == made[2]
    page = client.vector_stores.list(order="desc", limit=9, before=made[4])
    assert [each.id for each in page.data] == [made[6], made[5]]
    assert not page.has_more
    page = client.vector_stores.list(after=made[2])
    assert [each.id for each in page.data] == [made[1], made[0]]


def test_a_store_is_made_with_its_files(client: openai.OpenAI) -> None:
    files = [upload(client, name, text) for name, text in TEXTS.items()]
    made = client.vector_stores.create(file_ids=files)
    assert made.file_counts.total == 3
    for file in files:
        assert client.vector_stores.files.poll(file, vector_store_id=made.id).status == "completed"
    whole = client.vector_stores.retrieve(made.id)
    assert whole.status == "completed"
    assert whole.file_counts.completed == 3
    assert whole.usage_bytes > 3 * 256 * 4


def test_an_expired_store_is_empty_and_says_so(
    client: openai.OpenAI, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.vector_stores.update(store, expires_after={"anchor": "last_active_at", "days": 1})
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 2 * 86400)
    expired = client.vector_stores.retrieve(store)
    assert expired.status == "expired"
    with pytest.raises(openai.BadRequestError, match="has expired"):
        client.vector_stores.search(store, query="water")
    assert client.vector_stores.retrieve(store).file_counts.total == 0


SEARCH: dict[str, Any] = {"query": "water"}
EQUAL = {"type": "eq", "key": "a", "value": 1}


def static(most: int, overlap: int) -> dict[str, Any]:
    sizes = {"max_chunk_size_tokens": most, "chunk_overlap_tokens": overlap}
    return {"type": "static", "static": sizes}


@pytest.mark.parametrize(
    ("field", "value", "param"),
    [
        ("name", 1, ""),
        ("nmae", "x", ""),
        ("metadata", {str(n): "" for n in range(17)}, ""),
        ("metadata", {"x" * 65: ""}, ""),
        ("metadata", {"x": "y" * 513}, ".x"),
        ("metadata", {"x": 1}, ".x"),
        ("expires_after", {"anchor": "created_at", "days": 1}, ".anchor"),
        ("expires_after", {"anchor": "last_active_at", "days": 0}, ".days"),
        ("expires_after", {"anchor": "last_active_at"}, ".days"),
        ("file_ids", "x", ""),
    ],
)
def test_a_wrong_store_is_told(shared: openai.OpenAI, field: str, value: Any, param: str) -> None:
    check(shared, "", {field: value}, field + param)


@pytest.mark.parametrize(
    ("field", "value", "param"),
    [
        ("query", "", ""),
        ("query", [], ""),
        ("query", 1, ""),
        ("max_num_results", 51, ""),
        ("rewrite_query", True, ""),
        ("ranking_options", {"score_threshold": 2}, ".score_threshold"),
        ("ranking_options", {"ranker": "default-2024-11-15"}, ".ranker"),
        ("ranking_options", {"hybrid_search": {}}, ".hybrid_search"),
        ("filters", [], ""),
        ("filters", {"type": "like"}, ".type"),
        ("filters", {"type": {}}, ".type"),
        ("filters", {"type": []}, ".type"),
        ("filters", EQUAL | {"key": 1}, ".key"),
        ("filters", EQUAL | {"type": "in"}, ".value"),
        ("filters", EQUAL | {"value": None}, ".value"),
        ("filters", EQUAL | {"more": 1}, ".more"),
        ("filters", {"type": "and", "filters": []}, ".filters"),
        ("filters", {"type": "and", "filters": [{}]}, ".filters[0].type"),
    ],
)
def test_a_wrong_search_is_told(shared: openai.OpenAI, field: str, value: Any, param: str) -> None:
    check(shared, "/search", SEARCH | {field: value}, field + param)


def test_a_filter_may_not_be_too_deep(shared: openai.OpenAI) -> None:
    filters: dict[str, Any] = EQUAL
    for _ in range(16):
        filters = {"type": "or", "filters": [filters]}
    check(shared, "/search", SEARCH | {"filters": filters}, "filters" + 16 * ".filters[0]")


@pytest.mark.parametrize(
    ("field", "value", "param"),
    [
        ("attributes", {"x": []}, ".x"),
        ("attributes", {"x": None}, ".x"),
        ("chunking_strategy", {"type": "semantic"}, ".type"),
        ("chunking_strategy", {"type": "static"}, ".static"),
        ("chunking_strategy", static(99, 0), ".static.max_chunk_size_tokens"),
        ("chunking_strategy", static(4097, 0), ".static.max_chunk_size_tokens"),
        ("chunking_strategy", static(100, 51), ".static.chunk_overlap_tokens"),
    ],
)
def test_a_wrong_file_is_told(shared: openai.OpenAI, field: str, value: Any, param: str) -> None:
    check(shared, "/files", {"file_id": "f", field: value}, field + param)


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/search", {}, "query"),
        ("/files", {}, "file_id"),
        ("/files", {"file_id": "file_x"}, "id"),
        ("/file_batches", {}, "file_ids"),
        ("/file_batches", {"file_ids": []}, "file_ids"),
        ("/file_batches", {"file_ids": ["a"], "files": [{"file_id": "a"}]}, "file_ids"),
        ("/file_batches", {"files": [{}]}, "files[0].file_id"),
    ],
)
def test_what_is_missing_is_told(
    shared: openai.OpenAI, path: str, body: dict[str, Any], param: str
) -> None:
    check(shared, path, body, param)


def check(shared: openai.OpenAI, path: str, body: dict[str, Any], param: str) -> None:
    """That the request is refused for that field."""
    url = f"{shared.base_url}vector_stores"
    if path:
        url = f"{url}/{shared.vector_stores.create().id}{path}"
    response = httpx.post(url, json=body)
    assert response.status_code in (400, 404)
    assert response.json()["error"]["param"] == param


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"order": "up"}, "order"),
        ({"filter": "x"}, "filter"),
    ],
)
def test_a_wrong_list_is_told(shared: openai.OpenAI, query: dict[str, Any], param: str) -> None:
    id_ = shared.vector_stores.create().id
    response = httpx.get(f"{shared.base_url}vector_stores/{id_}/files", params=query)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param
