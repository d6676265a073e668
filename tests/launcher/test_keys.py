"""Who gets in: keys, before a scripted guest (fake_worker.py) and on the command line."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from llamaedge_launcher import keys

from .conftest import Front, StartFront, starting

CHAT = "/v1/chat/completions"
KEYS = ("first-key", "second:key=")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with starting(tmp_path_factory.mktemp("guarded")) as start:
        yield start(known_only=False, keys=KEYS)


def chat(client: httpx.Client, headers: dict[str, str]) -> httpx.Response:
    return client.post(CHAT, json={"messages": []}, headers=headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer first-key"},
        {"Authorization": "bearer  second:key="},
        {"X-Api-Key": "second:key="},
        {"Authorization": "Basic Zm9v", "X-Api-Key": "first-key"},
    ],
)
def test_a_key_lets_in_and_goes_no_further(guarded: Front, headers: dict[str, str]) -> None:
    with guarded.client() as client:
        response = chat(client, headers)
    assert response.status_code == 200
    assert not {"authorization", "x-api-key"} & set(response.json()["headers"])
    assert "-key" not in guarded.log.read_text()


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "asks for an API key"),
        ({"Authorization": "first-key"}, "asks for an API key"),
        ({"Authorization": "Basic first-key"}, "asks for an API key"),
        ({"Authorization": "Bearer first-keyx"}, "not one of"),
        ({"Authorization": "Bearer first-key second:key="}, "not one of"),
        ({"X-Api-Key": "FIRST-KEY"}, "not one of"),
    ],
)
def test_without_a_key_nobody_gets_in(
    guarded: Front, headers: dict[str, str], message: str
) -> None:
    with guarded.client() as client:
        response = chat(client, headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    found = response.json()["error"]
    assert (found["code"], found["type"]) == ("invalid_api_key", "authentication_error")
    assert message in found["message"]
    assert "key=" not in response.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 200),
        ("GET", "/", 200),
        ("GET", "/index.html", 200),
        ("HEAD", "/_next/static/chunk.JS", 200),
        ("GET", "/v1/models", 401),
        ("GET", "/v1/models.js", 401),
        ("GET", "//v1/models.js", 401),
        ("GET", "/V1/x.js", 401),
        ("GET", "/%76%31/models.js", 401),
        ("GET", "/..%5cv1/models.js", 404),
        ("GET", "/echo", 401),
        ("GET", "/admin", 401),
        ("POST", "/index.html", 401),
        ("POST", "/health", 401),
        ("OPTIONS", "/v1/models", 401),
    ],
)
def test_only_health_and_the_page_are_for_all(
    guarded: Front, method: str, path: str, status: int
) -> None:
    with guarded.client() as client:
        assert client.request(method, guarded.url + path).status_code == status


def test_the_bundled_server_has_no_page(start_front: StartFront) -> None:
    front = start_front(keys=KEYS)
    with front.client() as client:
        assert client.get("/index.html").status_code == 401


def test_a_body_is_not_read_without_a_key(guarded: Front) -> None:
    with socket.create_connection(("127.0.0.1", guarded.port)) as connection:
        head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000000\r\n\r\n"
        connection.sendall(head.encode() + b"{")
        connection.settimeout(10)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"\r\nconnection: close\r\n" in answer


def listed(pid: int) -> str:
    command = ["ps", "eww", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("arguments", "variables", "shown"),
    [
        (["--api-key", "s3cret-1", "--api-key=s3cret-2"], {}, "--api-key *** --api-key=***"),
        (["--env", "API_KEY=s3cret"], {}, "--env API_KEY=***"),
        (["--env=API_KEY=s3cret"], {}, "--env=API_KEY=***"),
        (["--api-key-file", "keys.txt"], {}, "--api-key-file keys.txt"),
        ([], {"API_KEY": "s3cret"}, "serve.py"),
        (
            ["--api-key", "s3cret", "--store-records", "postgresql://ada:p4ss@db/llm"],
            {"LLAMAEDGE_STORE_FILES": "ftp://ada:p4ss@files/llm"},
            "--store-records postgresql://ada:***@db/llm",
        ),
        (
            ["--store-files=ftp://ada:p4ss@files/llm", "--api-key-file", "keys.txt"],
            {},
            "--store-files=ftp://ada:***@files/llm",
        ),
        (
            ["--api-key-file=keys.txt"],
            {"LLAMAEDGE_STORE_RECORDS": "postgresql://db/llm?password=p4ss"},
            "serve.py",
        ),
    ],
)
def test_no_key_is_in_the_list_of_processes(
    tmp_path: Path, arguments: list[str], variables: dict[str, str], shown: str
) -> None:
    """The process that serves and the worker that it starts."""
    tmp_path.joinpath("keys.txt").write_text("\n s3cret-3 \n")
    script = tmp_path / "serve.py"
    script.write_text(
        "import sys, time\n"
        "from llamaedge_launcher.cli import main, run\n"
        "def serve(plan, settings, listener, parent):\n"
        "    import subprocess\n"
        "    other = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)\n"
        "    worker = plan.recipes(plan.addresses[0])[0].worker\n"
        "    print(other.pid, worker.encode().decode().strip(), flush=True)\n"
        "    sys.stdin.read()\n"
        "    return len(settings.keys)\n"
        "run._serve = serve\n"
        "from llamaedge_launcher.storage.places import Places\n"
        "Places.check = lambda places: None\n"
        "main()\n"
    )
    command = [sys.executable, str(script), "run", "--port", "0", *arguments]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=os.environ | variables,
    ) as process:
        assert process.stdout is not None
        pid, config = process.stdout.readline().split(" ", 1)
        lists = listed(process.pid) + listed(int(pid))
        process.communicate("")
    assert process.returncode == sum(each.count("s3cret") for each in arguments) or 1
    assert "s3cret" not in lists + config
    assert "p4ss" not in lists + config
    assert shown in lists
    assert json.loads(config)["env"] == {}


@pytest.mark.parametrize(
    ("arguments", "content", "message"),
    [
        (["--api-key", ""], "", "'--api-key': a key is one or more printable"),
        (["--api-key", "s3cret key"], "", "'--api-key': a key is one or more printable"),
        (["--api-key", "s3cretä"], "", "'--api-key': a key is one or more printable"),
        (["--env", "API_KEY="], "", "API_KEY: a key is one or more printable"),
        (["--api-key-file", "none.txt"], "", "cannot read none.txt: No such file"),
        (["--api-key-file", "keys.txt"], "", "keys.txt: it holds no key"),
        (["--api-key-file", "keys.txt"], "good\ns3cret key", "keys.txt: a key is one or more"),
        (["--api-key-file", "keys.txt"], "s3cretä", "keys.txt: a key is one or more"),
        (["--cors-origin", "example.com"], "", "'example.com' is not of the form https://"),
        (["--data-dir", "keys.txt"], "", "--data-dir: cannot use"),
        (["--store-records", "sqlite:///x"], "", "SQLite's databases are in --data-dir"),
        (["--store-records", "mysql://a:s3cret@db/x"], "", "not of the form postgresql://"),
        (["--store-records", "postgresql://a:s3@s3cret@db/x"], "", "'postgresql://a:***@db/x': in"),
        (["--store-records", "a:s3cret@db"], "", "not of the form postgresql://"),
        (["--store-files", "/srv/files"], "", "one that all machines have mounted is file:///"),
        (["--max-file-size", "0"], "", "'0' is not a size such as 500M"),
        (["--max-file-size", "2T"], "", "'2T' is not a size such as 500M"),
    ],
)
def test_a_bad_option_is_one_line_that_tells_no_key(
    tmp_path: Path, arguments: list[str], content: str, message: str
) -> None:
    tmp_path.joinpath("keys.txt").write_text(content)
    command = [str(Path(sys.executable).with_name("llamaedge")), "run", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode in (1, 2)
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
    assert "s3cret" not in result.stderr


def test_a_suggested_key_may_be_used() -> None:
    assert keys.check(keys.suggestion()) != keys.suggestion()
