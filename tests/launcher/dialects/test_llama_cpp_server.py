"""llama.cpp's /props and /slots: what is asked of the worker itself."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from llamaedge_launcher.proxy.dialects.llama_cpp.props import _defaults

from ..conftest import StartFront, starting


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with starting(tmp_path_factory.mktemp("front")) as start:
        yield start("serve", "--temp=0.5", "--seed=9", models={"other": "serve"}).url


def test_slots_tell_what_they_are_doing(url: str) -> None:
    idle, busy = httpx.get(f"{url}/slots").json()
    assert idle == {
        "id": 0, "n_ctx": 512, "speculative": True, "is_processing": False, "n_prompt_tokens": 0
    }  # fmt: skip
    assert busy == {
        "id": 1, "n_ctx": 512, "speculative": True, "is_processing": True, "n_prompt_tokens": 9,
        "n_prompt_tokens_processed": 4, "n_prompt_tokens_cache": 3,
        "next_token": [{"has_next_token": True, "n_remain": 5, "n_decoded": 3}],
    }  # fmt: skip


def test_a_free_slot_is_enough(url: str) -> None:
    assert httpx.get(f"{url}/slots?fail_on_no_slot=1").status_code == 200


def test_slots_are_those_of_the_model_that_is_named(url: str) -> None:
    assert httpx.get(f"{url}/slots?model=other").status_code == 200
    response = httpx.get(f"{url}/slots?model=none")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "model_not_found"


def test_properties_are_the_models_and_the_servers(url: str) -> None:
    found = httpx.get(f"{url}/props").json()
    settings = found["default_generation_settings"]
    assert settings["n_ctx"] == 512
    assert settings["params"]["temperature"] == 0.5
    assert settings["params"]["seed"] == 9
    assert found["total_slots"] == 2
    assert found["model_alias"] == "default"
    assert found["model_path"].endswith("default.gguf")
    assert found["chat_template"] == "{{ messages }}"
    assert found["endpoint_slots"] is True
    assert found["is_sleeping"] is False


def test_properties_are_not_changed(url: str) -> None:
    response = httpx.post(f"{url}/props", json={})
    assert response.status_code == 501
    assert response.json()["error"]["code"] == "not_supported"


def test_settings_that_are_not_given_are_the_guests() -> None:
    assert _defaults(["--temp=0", "--no-mmap", "--web-ui=x"]) == {
        "seed": -1, "temperature": 0.0, "top_p": 1.0, "repeat_penalty": 1.1,
        "presence_penalty": 0.0, "frequency_penalty": 0.0, "n_predict": 1024,
    }  # fmt: skip


def test_slots_may_be_nobodys_business(start_front: StartFront) -> None:
    front = start_front(slots=False)
    response = httpx.get(f"{front.url}/slots")
    assert response.status_code == 501
    assert "--no-slots" in response.json()["error"]["message"]
    assert httpx.get(f"{front.url}/props").json()["endpoint_slots"] is False


def test_so_may_be_what_the_server_has_done(start_front: StartFront) -> None:
    front = start_front(metrics=False)
    response = httpx.get(f"{front.url}/metrics")
    assert response.status_code == 501
    assert "--no-metrics" in response.json()["error"]["message"]
    assert httpx.get(f"{front.url}/props").json()["endpoint_metrics"] is False


def test_an_idle_model_sleeps_while_its_properties_are_read(start_front: StartFront) -> None:
    """Nothing keeps it awake but use, and nothing that is told wakes it."""
    front = start_front(keep_alive=1)
    deadline = time.monotonic() + 20
    while not httpx.get(f"{front.url}/props").json()["is_sleeping"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert httpx.get(f"{front.url}/health").status_code == 200
    assert httpx.get(f"{front.url}/props").json()["total_slots"] == 2
    assert httpx.get(f"{front.url}/props").json()["is_sleeping"] is True
    assert httpx.get(f"{front.url}/slots").status_code == 200
    assert httpx.get(f"{front.url}/props").json()["is_sleeping"] is False


DOCUMENTS = ["a", "ccc", {"text": "bb"}]


@pytest.mark.parametrize("path", ["/rerank", "/reranking", "/v1/rerank", "/v1/reranking"])
def test_documents_come_in_the_order_of_their_scores(url: str, path: str) -> None:
    found = httpx.post(f"{url}{path}", json={"query": "q", "documents": DOCUMENTS}).json()
    assert found == {
        "model": "default",
        "object": "list",
        "usage": {"prompt_tokens": 15, "total_tokens": 15},
        "results": [
            {"index": 1, "relevance_score": 3.0},
            {"index": 2, "relevance_score": 2.0},
            {"index": 0, "relevance_score": 1.0},
        ],
    }


def test_the_best_documents_may_be_all_and_come_back(url: str) -> None:
    asked = {"query": "q", "documents": DOCUMENTS, "top_n": 1, "return_documents": True}
    found = httpx.post(f"{url}/rerank", json=asked).json()["results"]
    assert found == [{"index": 1, "relevance_score": 3.0, "document": {"text": "ccc"}}]


def test_texts_are_answered_as_tei_answers(url: str) -> None:
    asked = {"query": "q", "texts": ["a", "bb"], "return_text": True, "top_n": 9}
    found = httpx.post(f"{url}/rerank", json=asked).json()
    assert found == [
        {"index": 1, "score": 2.0, "text": "bb"},
        {"index": 0, "score": 1.0, "text": "a"},
    ]


@pytest.mark.parametrize("name", ["documents", "texts"])
def test_what_ranking_does_not_know_is_named_in_a_header(url: str, name: str) -> None:
    asked = {"query": "q", name: ["a"], "raw_scores": False, "top_n": None}
    assert httpx.post(f"{url}/rerank", json=asked).headers["x-unknown-fields"] == "raw_scores"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"documents": ["a"]}, "query"),
        ({"query": "", "documents": ["a"]}, "query"),
        ({"query": 1, "documents": ["a"]}, "query"),
        ({"query": "q"}, "documents"),
        ({"query": "q", "documents": []}, "documents"),
        ({"query": "q", "documents": 123}, "documents"),
        ({"query": "q", "documents": [1, 2]}, "documents[0]"),
        ({"query": "q", "documents": [{"image": "x"}]}, "documents[0]"),
        ({"query": "q", "texts": ["a", None]}, "texts[1]"),
        ({"query": "q", "documents": ["a"], "top_n": 0}, "top_n"),
        ({"query": "q", "documents": ["a"], "top_n": "x"}, "top_n"),
    ],
    ids=str,
)
def test_a_field_that_cannot_be_obeyed_is_named(url: str, body: Any, param: str) -> None:
    response = httpx.post(f"{url}/rerank", json=body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


@pytest.fixture(scope="module")
def saving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("slots")
    with starting(tmp_path_factory.mktemp("front")) as start:
        yield start(slot_save_path=str(folder)).url


def test_a_slot_is_saved_restored_and_erased(saving: str) -> None:
    asked = {"filename": "a slot-1.bin"}
    assert httpx.post(f"{saving}/slots/1?action=save", json=asked).json() == {
        "id_slot": 1, "filename": "a slot-1.bin", "n_saved": 7, "n_written": 99,
        "timings": {"save_ms": 250.0},
    }  # fmt: skip
    assert httpx.post(f"{saving}/slots/0?action=restore", json=asked).json() == {
        "id_slot": 0, "filename": "a slot-1.bin", "n_restored": 7, "n_read": 99,
        "timings": {"restore_ms": 250.0},
    }  # fmt: skip
    found = httpx.post(f"{saving}/slots/1?action=erase")
    assert found.json() == {"id_slot": 1, "n_erased": 41}


@pytest.mark.parametrize("name", ["", ".x", "..", "a/b", "/etc/x", "a\\b", "a\nb", "x" * 201, 5])
def test_a_file_lies_in_no_other_folder(saving: str, name: Any) -> None:
    response = httpx.post(f"{saving}/slots/1?action=save", json={"filename": name})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "filename"


@pytest.mark.parametrize(
    "target", ["x?action=erase", "-1?action=erase", "1?action=no", "1", "9?action=save"]
)
def test_what_cannot_be_done_to_a_slot(saving: str, target: str) -> None:
    response = httpx.post(f"{saving}/slots/{target}", json={"filename": "a"})
    assert response.status_code == 400
    assert response.json()["error"]["message"]


def test_slots_are_saved_where_a_folder_is_named(url: str) -> None:
    response = httpx.post(f"{url}/slots/0?action=erase")
    assert response.status_code == 501
    assert "--slot-save-path" in response.json()["error"]["message"]


def test_adapters_are_listed_and_scaled(url: str) -> None:
    assert httpx.get(f"{url}/lora-adapters").json() == [{"id": 0, "path": "/a.gguf", "scale": 0.5}]
    found = httpx.post(f"{url}/lora-adapters", json=[{"id": 0, "scale": 1}])
    assert found.json() == {"success": True}


@pytest.mark.parametrize("body", [b"{}", b"[1", b"5", b"null"])
def test_scales_are_an_array(url: str, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    response = httpx.post(f"{url}/lora-adapters", content=body, headers=headers)
    assert response.status_code == 400
