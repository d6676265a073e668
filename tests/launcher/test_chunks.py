"""/v1/chunks of the public server."""

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from llamaedge_launcher.fleet.fleet import Fleet
from llamaedge_launcher.proxy.app import create_app
from llamaedge_launcher.proxy.transport import FleetTransport
from llamaedge_launcher.settings import Settings
from llamaedge_launcher.supervisor import WorkerProcess

from .conftest import Front, Loading, StartFront
from .pdf import pdf

PARIS = (
    "Paris, city and capital of France, situated in the north-central part of the country."
    " People were living on the site of the present-day city by about 7600 BCE. The modern city"
    " has spread from the island (the Île de la Cité) and far beyond both banks of the Seine.\n\n"
    "Paris occupies a central position in the rich agricultural region known as the Paris Basin,"
    " and it constitutes one of eight départements of the Île-de-France administrative region."
    " Area city, 41 square miles (105 square km); metropolitan area, 890 square miles.\n\n"
    "Pop. (2020 est.) city, 2,145,906; (2020 est.) urban agglomeration, 10,858,874.\n"
)
MARKDOWN = (
    "# One\n\nFirst words.\n\n## Two\n\n- a list\n- of three\n- items\n\n```\ncode here\n```\n"
)


def store(client: httpx.Client, name: str, content: str | bytes) -> dict[str, Any]:
    data = content if isinstance(content, bytes) else content.encode()
    file = client.post("/v1/files", files={"file": (name, data)}).json()
    return {"id": file["id"], "filename": file["filename"]}


def split(client: httpx.Client, file: dict[str, Any], capacity: object = 100) -> httpx.Response:
    return client.post("/v1/chunks", json={**file, "chunk_capacity": capacity})


def test_a_text_is_split_at_its_paragraphs(client: httpx.Client) -> None:
    file = store(client, "paris.txt", PARIS)
    response = split(client, file, 75)
    assert response.status_code == 200
    chunks = response.json().pop("chunks")
    assert response.json() == {**file, "chunks": chunks}
    assert chunks == PARIS.strip().split("\n\n")
    small = split(client, file, 10).json()["chunks"]
    assert len(small) > 10
    assert "".join("".join(small).split()) == "".join(PARIS.split())


def test_a_capacity_is_in_tokens_of_cl100k_base(client: httpx.Client) -> None:
    """Of which "tokenization" is two."""
    file = store(client, "a.txt", "tokenization")
    assert split(client, file, 2).json()["chunks"] == ["tokenization"]
    assert len(split(client, file, 1).json()["chunks"]) > 1


def test_markdown_is_split_by_its_structure(client: httpx.Client) -> None:
    chunks = split(client, store(client, "a.MD", MARKDOWN), 12).json()["chunks"]
    assert chunks[0] == "# One\n\nFirst words."
    assert "```\ncode here\n```" in chunks
    assert split(client, store(client, "a.txt", MARKDOWN), 12).json()["chunks"] != chunks


def test_a_pdfs_text_is_split(client: httpx.Client) -> None:
    file = store(client, "a.pdf", pdf("The sea is deep"))
    assert split(client, file).json()["chunks"] == ["The sea is deep"]
    refused = split(client, store(client, "b.pdf", b"%PDF-1.4 nothing"))
    assert refused.status_code == 400
    assert "is a PDF that cannot be read" in refused.json()["error"]["message"]


def test_an_empty_text_has_no_chunks(client: httpx.Client) -> None:
    assert split(client, store(client, "a.txt", "")).json()["chunks"] == []


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"id": "file_00000000-0000-4000-8000-000000000000"}, 404, "there is no file"),
        ({"id": "../x"}, 404, "there is no file"),
        ({"id": 3}, 400, "id must be a string"),
        ({"filename": "b.txt"}, 404, "is named 'a.txt'"),
        ({"filename": None}, 400, "filename must be a string"),
        ({"chunk_capacity": 0}, 400, "from 1 to"),
        ({"chunk_capacity": -1}, 400, "from 1 to"),
        ({"chunk_capacity": 10**30}, 400, "from 1 to"),
        ({"chunk_capacity": "100"}, 400, "chunk_capacity must be a whole number"),
        ({"chunk_capacity": 1.5}, 400, "chunk_capacity must be a whole number"),
        ({"chunk_capacity": True}, 400, "chunk_capacity must be a whole number"),
    ],
)
def test_a_wrong_request_is_told(
    client: httpx.Client, change: dict[str, Any], status: int, message: str
) -> None:
    file = store(client, "a.txt", "text")
    response = client.post("/v1/chunks", json={**file, "chunk_capacity": 10, **change})
    assert response.status_code == status
    assert message in response.json()["error"]["message"]


@pytest.mark.parametrize("missing", ["id", "filename", "chunk_capacity"])
def test_a_missing_field_is_named(client: httpx.Client, missing: str) -> None:
    body = {"id": "x", "filename": "y", "chunk_capacity": 1}
    del body[missing]
    response = client.post("/v1/chunks", json=body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == missing


def test_what_is_no_text_is_refused(client: httpx.Client) -> None:
    for name, content in (("a.png", b"text"), ("a", b"text"), ("a.txt", b"\xff\xfe")):
        response = split(client, store(client, name, content))
        assert response.status_code == 400
        assert response.json()["error"]["code"] == "unsupported_file"


def children(front: Front) -> list[str]:
    tasks = Path(f"/proc/{front.process.pid}/task")
    text = " ".join(file.read_text() for file in tasks.glob("*/children"))
    names = [Path(f"/proc/{pid}/cmdline").read_bytes().decode() for pid in text.split()]
    return [name for name in names if "files.split" in name]


def test_a_client_that_goes_away_ends_the_splitting(start_front: StartFront) -> None:
    """Of a text that would take for ever."""
    front = start_front()
    with front.client() as client:
        file = store(client, "a.txt", "x" * 1_000_000)
        with pytest.raises(httpx.ReadTimeout):
            client.post("/v1/chunks", json={**file, "chunk_capacity": 1}, timeout=2)
        deadline = time.monotonic() + 5
        while children(front):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert split(client, store(client, "a.txt", "text")).json()["chunks"] == ["text"]


def test_a_text_that_takes_too_long_is_a_504(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llamaedge_launcher.proxy.chunks._LONGEST", 0.5)
    app = create_app(
        FleetTransport(Fleet([], WorkerProcess)),
        Loading(),
        Settings(data_dir=tmp_path),
        known_only=True,
        local=True,
    )

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            form = {"file": ("a.txt", b"x" * 1_000_000)}
            file = (await client.post("/v1/files", files=form)).json()
            body = {"id": file["id"], "filename": "a.txt", "chunk_capacity": 1}
            return await client.post("/v1/chunks", json=body)

    response = asyncio.run(ask())
    assert response.status_code == 504
    assert "chunk_capacity" in response.json()["error"]["message"]
