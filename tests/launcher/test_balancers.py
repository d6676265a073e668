"""nginx and Caddy with the files of docs/deploy before two servers, and a third that is away."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from llamaedge_launcher.proxy.routing import operations

from .conftest import Front, StartFront, routes
from .test_websocket import hear, open_socket, say

DEPLOY = Path(__file__).parents[2] / "docs" / "deploy"
CHAT = "/v1/chat/completions"
CONVERSATION = "X-Conversation-Id"
SERVERS = [f"10.0.0.{n}:8080" for n in (11, 12, 13)]
PATIENCE = 30  # seconds
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin") or shutil.which("nginx")
CADDY = shutil.which("caddy")
MAIN = """
daemon off;
master_process off;
error_log stderr;
pid {folder}/nginx.pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""
"""What Debian's nginx.conf has around the files, and the paths that a test may write to."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def placed(name: str, places: dict[str, str]) -> str:
    """The file, with other addresses and paths in the place of its own."""
    text = DEPLOY.joinpath(name).read_text()
    for own, other in places.items():
        assert own in text, f"{name} has no {own}"
        text = text.replace(own, other)
    return text


def for_nginx(folder: Path, text: str) -> list[str]:
    folder.joinpath("site.conf").write_text(text)
    folder.joinpath("nginx.conf").write_text(MAIN.format(folder=folder))
    return [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf")]


def for_caddy(folder: Path, text: str) -> list[str]:
    path = folder / "Caddyfile"
    path.write_text("{\n\tadmin off\n\tpersist_config off\n}\n" + text)
    return [str(CADDY), "run", "--adapter", "caddyfile", "--config", str(path)]


Balancer = tuple[str, Callable[[Path, str], list[str]], str]
BALANCERS = [
    pytest.param(
        ("nginx-replicas.conf", for_nginx, "listen {};"),
        id="nginx",
        marks=pytest.mark.skipif(NGINX is None, reason="nginx is not here: apt install nginx"),
    ),
    pytest.param(
        ("Caddyfile-replicas", for_caddy, ":{} {{"),
        id="caddy",
        marks=pytest.mark.skipif(CADDY is None, reason="caddy is not here: caddyserver.com/docs"),
    ),
]
every_balancer = pytest.mark.parametrize("balancer", BALANCERS)


@contextmanager
def balancing(balancer: Balancer, folder: Path, *ports: int) -> Iterator[httpx.Client]:
    """A client of the balancer before servers on these ports; those of the file that are left over
    are on ports where nothing listens."""
    name, command, listens = balancer
    port, rest = free_port(), [free_port() for _ in SERVERS[len(ports) :]]
    places = {
        own: f"127.0.0.1:{there}" for own, there in zip(SERVERS, [*ports, *rest], strict=True)
    }
    places[listens.format(8080)] = listens.format(port)
    process = subprocess.Popen(command(folder, placed(name, places)))
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE, trust_env=False
        ) as client:
            until(lambda: process.poll() is not None or _listens(port))
            assert process.poll() is None
            yield client
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ask(client: httpx.Client, conversation: str, **body: Any) -> httpx.Response:
    headers = {CONVERSATION: conversation} if conversation else {}
    return client.post(CHAT, json={"messages": [], **body}, headers=headers)


def busy(front: Front) -> bool:
    with front.client() as client:
        return 'llamaedge_requests_processing{model="default"} 1.0' in client.get("/metrics").text


@every_balancer
def test_a_conversation_stays_and_others_go_elsewhere(
    balancer: Balancer, start_front: StartFront, tmp_path: Path
) -> None:
    ports = [start_front().port for _ in range(2)]
    with balancing(balancer, tmp_path, *ports) as client:
        places: dict[str, set[int]] = {}
        for turn in range(2):
            for number in range(12):
                answer = ask(client, f"talk {number}", turn=turn)
                assert answer.status_code == 200, answer.text
                places.setdefault(str(number), set()).add(answer.json()["pid"])
        unnamed = {ask(client, "").json()["pid"] for _ in range(10)}
    assert [len(each) for each in places.values()] == [1] * 12
    assert len(set.union(*places.values())) == 2
    assert len(unnamed) == 1, "a client that names no conversation is one"


@every_balancer
def test_what_streams_and_sockets_send_comes_at_once(
    balancer: Balancer, start_front: StartFront, tmp_path: Path
) -> None:
    front = start_front()
    with balancing(balancer, tmp_path, front.port) as client:
        slow = {"messages": [], "stream": True, "answer": "stream", "count": 2, "gap": 3600}
        with client.stream("POST", CHAT, json=slow) as answer:
            assert next(answer.iter_lines()) == 'data: {"piece": 0}'
        behind = Front(front.process, client.base_url.port or 0, front.log)
        with open_socket(behind) as ws:
            say(ws, messages=[], answer="stream", count=2, gap=3600)
            assert hear(ws) == {"piece": 0}


@every_balancer
def test_a_server_that_is_starting_gets_nothing(
    balancer: Balancer, start_front: StartFront, tmp_path: Path
) -> None:
    ports = [start_front("slow", "600", ready=False).port, start_front().port]
    with balancing(balancer, tmp_path, *ports) as client:
        talks = [f"talk {number}" for number in range(12)]
        until(lambda: all(ask(client, each).status_code == 200 for each in talks))
        assert [ask(client, each).status_code for each in talks] == [200] * 12


@every_balancer
def test_servers_that_are_full_say_so(
    balancer: Balancer, start_front: StartFront, tmp_path: Path
) -> None:
    fronts = [start_front(limit=1, max_queue=0) for _ in SERVERS]
    with balancing(balancer, tmp_path, *_ports(fronts)) as client, ExitStack() as open_:
        for front in fronts:
            open_.enter_context(occupied(front))
        until(lambda: all(map(busy, fronts)))
        answers = [ask(client, f"talk {number}") for number in range(6)]
    assert [each.status_code for each in answers] == [429] * 6
    assert all("retry-after" in each.headers for each in answers)


@contextmanager
def occupied(front: Front) -> Iterator[None]:
    """The server has a request that takes an hour."""
    body = b'{"messages": [], "answer": "wait", "seconds": 3600}'
    head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", front.port)) as connection:
        connection.sendall(head % CHAT.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        yield


def _ports(fronts: list[Front]) -> list[int]:
    return [front.port for front in fronts]


@pytest.mark.parametrize("balancer", BALANCERS[:1])
def test_a_server_that_is_killed_loses_nothing(
    balancer: Balancer, start_front: StartFront, tmp_path: Path
) -> None:
    """Caddy sends nothing twice that a server may have read."""
    fronts = [start_front() for _ in range(2)]
    with ThreadPoolExecutor(1) as pool, balancing(balancer, tmp_path, *_ports(fronts)) as client:
        asking = pool.submit(ask, client, "a", answer="wait", seconds=2)
        until(lambda: any(map(busy, fronts)))
        victim = next(front for front in fronts if busy(front))
        victim.process.kill()
        assert asking.result().status_code == 200


@every_balancer
def test_what_is_kept_is_found(balancer: Balancer, start_front: StartFront, tmp_path: Path) -> None:
    fronts = [start_front(data_dir=str(tmp_path / f"data{n}")) for n in range(2)]
    with balancing(balancer, tmp_path, *_ports(fronts)) as client:
        for number in range(6):
            headers = {CONVERSATION: f"talk {number}"}
            files = {"file": ("a.txt", b"hello")}
            upload = client.post("/v1/files", files=files, headers=headers)
            found = client.get(f"/v1/files/{upload.json()['id']}/content")
            assert found.content == b"hello"
        for path in ("/v1/responses/none", "/v1/vector_stores/none"):
            assert client.get(path).status_code == 404
    for front, expected in zip(fronts, (True, False), strict=True):
        with front.client() as own:
            told = own.get("/metrics").text
        assert ('route="/v1/responses/{id}"' in told) is expected


@pytest.mark.skipif(NGINX is None, reason="nginx is not here: apt install nginx")
def test_nginx_takes_the_file_for_one_server(tmp_path: Path) -> None:
    certificate = trustme.CA().issue_cert("llm.example.com")
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "fullchain.pem"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "privkey.pem"))
    places = {
        "/etc/letsencrypt/live/llm.example.com": str(tmp_path),
        "listen 443 ssl": f"listen 127.0.0.1:{free_port()} ssl",
    }
    command = for_nginx(tmp_path, placed("nginx.conf", places))
    done = subprocess.run([*command, "-t"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr


@pytest.mark.skipif(CADDY is None, reason="caddy is not here: caddyserver.com/docs")
@pytest.mark.parametrize("name", ["Caddyfile", "Caddyfile-replicas"])
def test_caddy_takes_the_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / "Caddyfile"
    path.write_text(DEPLOY.joinpath(name).read_text())
    command = [str(CADDY), "validate", "--adapter", "caddyfile", "--config", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["nginx-replicas.conf", "Caddyfile-replicas"])
def test_what_one_server_keeps_goes_to_one_server(name: str) -> None:
    """Every route of that kind, by each of its paths."""
    kept = re.search(r"(\^\(/v1\)\?/\S+)", DEPLOY.joinpath(name).read_text())
    assert kept
    paths = {path for path, _, _ in operations(routes())}
    assert {"/responses", "/v1/responses"} <= paths
    words = ("/files", "/chunks", "/vector_stores", "/responses")
    for path in paths:
        expected = path.removeprefix("/v1").startswith(words)
        assert bool(re.match(kept[1], path)) is expected, path
