"""/v1/files of the public server."""

import os
import random
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from .conftest import Front, StartFront, starting

FILES = "/v1/files"
ID = r"file_[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
BOUNDARY = "b0undary"


@pytest.fixture
def data(start_front: StartFront, tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def front(start_front: StartFront) -> Front:
    return start_front(max_file_size=1_000_000)


def upload(
    client: httpx.Client, name: str = "a.txt", content: bytes = b"hello", **fields: str
) -> httpx.Response:
    return client.post(FILES, files={"file": (name, content)}, data=fields)


def ids(client: httpx.Client, **query: Any) -> list[str]:
    return [each["id"] for each in client.get(FILES, params=query).json()["data"]]


def stored(data: Path) -> dict[str, bytes]:
    return {
        each.name: file.read_bytes()
        for each in (data / "archives").iterdir()
        for file in each.iterdir()
    }


def left(data: Path) -> list[Path]:
    """What lies where uploads arrive."""
    return [each for folder in (data / "incoming").iterdir() for each in folder.iterdir()]


def form(*parts: str | bytes, end: bool = True) -> bytes:
    encoded = [part if isinstance(part, bytes) else part.encode() for part in parts]
    body = b"".join(b"--%s\r\n%s\r\n" % (BOUNDARY.encode(), part) for part in encoded)
    return body + (b"--%s--\r\n" % BOUNDARY.encode() if end else b"")


def part(name: str, content: str = "x", more: str = "") -> str:
    return f'Content-Disposition: form-data; name="{name}"{more}\r\n\r\n{content}'


def post_form(client: httpx.Client, body: bytes) -> httpx.Response:
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    return client.post(FILES, content=body, headers={"Content-Type": kind})


def test_a_file_goes_in_and_out(client: httpx.Client, data: Path) -> None:
    before = int(time.time())
    response = upload(client, "paris.txt", b"Paris\0\xff", purpose="user_data")
    assert response.status_code == 200
    file = response.json()
    assert re.fullmatch(ID, file["id"])
    assert before <= file.pop("created_at") <= time.time()
    assert file == {
        "id": file["id"],
        "bytes": 7,
        "filename": "paris.txt",
        "object": "file",
        "purpose": "user_data",
        "status": "processed",
    }
    assert client.get(f"{FILES}/{file['id']}").json() == response.json()
    assert (data / "archives" / file["id"] / "paris.txt").read_bytes() == b"Paris\0\xff"
    content = client.get(f"{FILES}/{file['id']}/content")
    assert content.content == b"Paris\0\xff"
    assert content.headers["x-content-type-options"] == "nosniff"
    download = client.get(f"{FILES}/download/{file['id']}")
    assert download.content == b"Paris\0\xff"
    assert download.headers["content-disposition"] == 'attachment; filename="paris.txt"'
    deleted = client.delete(f"{FILES}/{file['id']}")
    assert deleted.json() == {"id": file["id"], "object": "file", "deleted": True}
    assert stored(data) == {}
    assert not left(data)
    for path in (file["id"], f"{file['id']}/content", f"download/{file['id']}"):
        assert client.get(f"{FILES}/{path}").status_code == 404
    assert client.delete(f"{FILES}/{file['id']}").status_code == 404


def test_openais_client(front: Front) -> None:
    client = openai.OpenAI(base_url=f"{front.url}/v1", api_key="none", max_retries=0)
    file = client.files.create(file=("ä b.md", b"# Head"), purpose="assistants")
    assert (file.filename, file.bytes, file.purpose) == ("ä b.md", 6, "assistants")
    assert client.files.wait_for_processing(file.id).status == "processed"
    assert client.files.retrieve(file.id).id == file.id
    assert client.files.content(file.id).read() == b"# Head"
    others = [client.files.create(file=b"x", purpose="batch") for _ in range(4)]
    assert {each.id for each in client.files.list(limit=2)} == {file.id, *(o.id for o in others)}
    assert [each.id for each in client.files.list(purpose="assistants")] == [file.id]
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError, match="there is no file"):
        client.files.retrieve(file.id)
    with pytest.raises(openai.BadRequestError, match="do not expire"):
        client.files.create(
            file=b"x",
            purpose="batch",
            expires_after={"anchor": "created_at", "seconds": 3600},
        )


def test_a_list_goes_by_time_and_pages(client: httpx.Client) -> None:
    made = [upload(client, purpose=("a", "b")[n % 2]).json()["id"] for n in range(7)]
    assert ids(client) == made[::-1]
    assert ids(client, order="asc") == made
    assert ids(client, order="asc", purpose="a") == made[::2]
    page = client.get(FILES, params={"order": "asc", "limit": 3, "after": made[1]}).json()
    assert [each["id"] for each in page["data"]] == made[2:5]
    assert (page["first_id"], page["last_id"], page["has_more"]) == (made[2], made[4], True)
    assert not client.get(FILES, params={"after": made[2]}).json()["has_more"]
    assert ids(client, after=made[2]) == [made[1], made[0]]


@pytest.mark.parametrize(
    ("query", "status", "param"),
    [
        ({"limit": 0}, 400, "limit"),
        ({"limit": 10_001}, 400, "limit"),
        ({"limit": "many"}, 400, "limit"),
        ({"order": "up"}, 400, "order"),
        ({"after": "file_x"}, 404, "id"),
    ],
)
def test_a_wrong_query_is_told(
    client: httpx.Client, query: dict[str, Any], status: int, param: str
) -> None:
    response = client.get(FILES, params=query)
    assert response.status_code == status
    assert response.json()["error"]["param"] == param


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (form(), 400, "no file"),
        (form(part("purpose")), 400, "no file"),
        (form(part("file")), 400, "it has no filename"),
        (form(part("file", more='; filename=""')), 400, "it has no filename"),
        (form(part("file", more='; filename="a"'), end=False), 400, "ends before"),
        (form(part("file", more='; filename="a"'))[:-9], 400, "ends before"),
        (form(*[part("file", more='; filename="a"')] * 2), 400, "two files"),
        (form(part("purpose", "a b"), part("file", more='; filename="a"')), 400, "a purpose is"),
        (form(part("purpose", "y" * 2000)), 400, "longer than 1024 bytes"),
        (form(*[part("other")] * 20), 400, "more than 16 parts"),
        (form(b"X: " + b"y" * 100_000 + b"\r\n\r\n"), 400, "not multipart/form-data"),
        (b"nonsense", 400, "not multipart/form-data"),
        (b"", 400, "ends before"),
        (form(part("file", "z" * 1_000_001, more='; filename="a"')), 413, "larger than 1000000"),
        (form(part("file", "z" * 3_000_000, more='; filename="a"')), 413, "larger than 1000000"),
    ],
)
def test_a_wrong_form_stores_nothing(
    client: httpx.Client, data: Path, body: bytes, status: int, message: str
) -> None:
    response = post_form(client, body)
    assert response.status_code == status
    assert message in response.json()["error"]["message"]
    assert stored(data) == {}
    assert not left(data)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 415),
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=", 400),
    ],
)
def test_what_is_no_form_is_refused(client: httpx.Client, kind: str, status: int) -> None:
    assert client.post(FILES, content=b"x", headers={"Content-Type": kind}).status_code == status


def test_the_largest_file_is_taken(client: httpx.Client) -> None:
    assert upload(client, content=bytes(1_000_000)).json()["bytes"] == 1_000_000
    assert upload(client, content=b"").json()["bytes"] == 0


def test_a_file_that_is_too_large_is_refused_before_it_comes(front: Front) -> None:
    with socket.create_connection(("127.0.0.1", front.port)) as connection:
        head = f"POST {FILES} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n"
        kind = f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
        connection.sendall((head + kind).encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\notes.txt", "notes.txt"),
        ("..", "file"),
        ("a\0b.txt", "ab.txt"),
        ("x" * 300 + ".txt", "x" * 251 + ".txt"),
        ("ä" * 200 + ".md", "ä" * 126 + ".md"),
        ('say "hi".txt', 'say "hi".txt'),
        ("-rf", "-rf"),
        ("e\u0301.txt", "é.txt"),
        (" \u202e.txt ", ".txt"),
        ("/", "file"),
    ],
)
def test_any_name_is_safe(client: httpx.Client, data: Path, sent: str, name: str) -> None:
    quoted = sent.replace("\\", "\\\\").replace('"', "%22")
    response = post_form(client, form(part("file", more=f'; filename="{quoted}"')))
    if "\0" in sent and response.status_code == 400:
        return
    file = response.json()
    assert file["filename"] == name
    assert [each.name for each in (data / "archives" / file["id"]).iterdir()] == [name]
    assert client.get(f"{FILES}/download/{file['id']}").content == b"x"


def test_a_name_may_come_encoded(client: httpx.Client) -> None:
    more = "; filename=\"plain\"; filename*=utf-8''%c3%a4.txt"
    assert post_form(client, form(part("file", more=more))).json()["filename"] == "ä.txt"


@pytest.mark.parametrize("path", ["x", "..%2f..%2fetc", "file_x", "%00", "file_" + "0" * 36])
def test_any_id_is_safe(client: httpx.Client, path: str) -> None:
    for url in (f"{FILES}/{path}", f"{FILES}/{path}/content", f"{FILES}/download/{path}"):
        assert client.get(url).status_code == 404
    assert client.delete(f"{FILES}/{path}").status_code == 404


def test_files_outlast_the_server_and_its_index(start_front: StartFront, data: Path) -> None:
    front = start_front()
    with front.client() as client:
        made = [upload(client, purpose=p).json() for p in ("vision", "assistants", "batch")]
    front.end()
    for suffix in ("", "-wal", "-shm"):
        data.joinpath(f"files.sqlite3{suffix}").unlink(missing_ok=True)
    with start_front().client() as client:
        assert client.get(FILES, params={"order": "asc"}).json()["data"] == made


def test_servers_may_share_a_folder(start_front: StartFront, data: Path) -> None:
    with start_front().client() as one, start_front().client() as other:
        made = [upload(client).json()["id"] for client in (one, other, one)]
        assert ids(one, order="asc") == ids(other, order="asc") == made
        assert other.delete(f"{FILES}/{made[0]}").status_code == 200
        assert one.get(f"{FILES}/{made[0]}").status_code == 404


def test_many_at_once(client: httpx.Client, data: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = threads.map(lambda n: upload(client, content=b"%d" % n), range(40))
        made = [answer.json()["id"] for answer in answers]
    assert sorted(ids(client)) == sorted(made)
    assert {id_: stored(data)[id_] for id_ in made} == {
        id_: b"%d" % n for n, id_ in enumerate(made)
    }


def test_a_client_that_goes_away_leaves_nothing(
    front: Front, client: httpx.Client, data: Path
) -> None:
    upload(client)
    with socket.create_connection(("127.0.0.1", front.port)) as connection:
        head = f"POST {FILES} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500000\r\n"
        kind = f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
        body = form(part("file", "z" * 100_000, more='; filename="a"'), end=False)
        connection.sendall((head + kind).encode() + body)
        deadline = time.monotonic() + 5
        while not left(data):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    while left(data):
        assert time.monotonic() < deadline, left(data)
        time.sleep(0.01)
    assert len(stored(data)) == 1


def test_an_upload_is_not_held_in_memory(start_front: StartFront) -> None:
    front = start_front()

    def resident() -> int:
        status = Path(f"/proc/{front.process.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024

    with front.client() as client:
        upload(client)
        before = resident()
        assert upload(client, content=bytes(200_000_000)).json()["bytes"] == 200_000_000
        assert resident() - before < 50_000_000


def test_a_folder_that_cannot_be_used_is_told(start_front: StartFront, tmp_path: Path) -> None:
    tmp_path.joinpath("taken").touch()
    with start_front(data_dir=str(tmp_path / "taken")).client() as client:
        response = upload(client)
        assert response.status_code == 507
        assert "--data-dir" in response.json()["error"]["message"]
        assert client.get("/v1/models").status_code == 200


def test_a_killed_server_leaves_whole_files(tmp_path: Path) -> None:
    """It is killed at different moments of uploads that go on."""
    with starting(tmp_path) as start:
        kept: list[str] = []
        moments = random.Random(12)
        for _ in range(20):
            front = start()
            with ThreadPoolExecutor(1) as thread, front.client() as client:
                uploads = thread.submit(_upload_until_it_dies, client)
                time.sleep(0.05 + moments.random() / 10)
                front.process.kill()
                kept += uploads.result()
        with start().client() as client:
            data = tmp_path / "data"
            found = ids(client)
            assert not left(data)
            assert set(found) == set(stored(data)) >= set(kept)
            assert set(stored(data).values()) <= {_CONTENT}


_CONTENT = os.urandom(300_000)


def _upload_until_it_dies(client: httpx.Client) -> list[str]:
    kept = []
    try:
        while True:
            kept.append(upload(client, content=_CONTENT).json()["id"])
    except httpx.TransportError:
        return kept
