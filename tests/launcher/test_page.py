"""The web page's files and the rendering of its texts, before a scripted guest."""

import gzip
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from llamaedge_launcher.markdown.process import CPU_SECONDS
from llamaedge_launcher.proxy.rendering import LONGEST
from llamaedge_launcher.settings import PAGE

from .conftest import Front, StartFront, starting

KEY = {"Authorization": "Bearer key"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of somebody's, as LlamaEdge's chatbot-ui is laid out, with what must stay inside."""
    outside = tmp_path_factory.mktemp("outside")
    outside.joinpath("secret.txt").write_text("secret")
    page = outside / "ui"
    for name, text in {
        "index.html": "<p>Chat</p>" * 200,
        "404.html": "<p>Nothing</p>",
        "_next/static/chunk.js": "go()",
        "v1/models.js": "not the API",
        "health": "not the API",
    }.items():
        page.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
        page.joinpath(name).write_text(text)
    page.joinpath("link.txt").symlink_to("../secret.txt")
    page.joinpath("folder").symlink_to("..")
    page.joinpath("inside.txt").symlink_to("404.html")
    return page


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Front]:
    with starting(tmp_path_factory.mktemp("front")) as start:
        yield start(keys=["key"], web_ui=str(folder))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with starting(tmp_path_factory.mktemp("own")) as start:
        yield start(keys=["key"], web_ui=str(PAGE))


def ask(front: Front, path: str, method: str = "GET") -> tuple[int, bytes]:
    """Send ``path`` as it is, which httpx would tidy up."""
    with socket.create_connection(("127.0.0.1", front.port), timeout=10) as connection:
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    first, _, body = answer.partition(b"\r\n\r\n")
    return int(first.split()[1]), body


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/", 200, b"Chat"),
        ("/index.html", 200, b"Chat"),
        ("//index.html", 200, b"Chat"),
        ("/_next/static/chunk.js", 200, b"go()"),
        ("/inside.txt", 200, b"Nothing"),
        ("/nothing", 404, b"<p>Nothing</p>"),
        ("/health", 200, b'"status"'),
        ("/v1/models.js", 401, b"API key"),
        ("//v1/models.js", 401, b"API key"),
        ("/V1/models.js", 401, b"API key"),
        ("/%76%31/models.js", 401, b"API key"),
        ("/api/render", 401, b"API key"),
        ("/metrics", 401, b"API key"),
        ("/link.txt", 404, b"Nothing"),
        ("/folder/secret.txt", 404, b"Nothing"),
        ("/../secret.txt", 401, b"API key"),
        ("/_next/../../secret.txt", 401, b"API key"),
        ("/%2e%2e/secret.txt", 401, b"API key"),
        ("/..%2fsecret.txt", 401, b"API key"),
        ("/..%5csecret.txt", 401, b"API key"),
        ("/%00", 401, b"API key"),
        ("/" + "a" * 5000, 401, b"API key"),
    ],
)
def test_a_page_is_its_folder_and_nothing_else(
    guarded: Front, path: str, status: int, text: bytes
) -> None:
    found, body = ask(guarded, path)
    assert (found, text in body) == (status, True), body
    assert b"secret\n" not in body
    assert not body.startswith(b"secret")


def test_a_page_only_reads(guarded: Front) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert ask(guarded, "/index.html", method)[0] == 401
    assert ask(guarded, "/index.html", "HEAD") == (200, b"")


def test_a_file_is_compressed_and_sent_once(guarded: Front) -> None:
    with guarded.client() as client:
        whole = client.get("/", headers={"Accept-Encoding": "gzip"})
        assert whole.headers["content-encoding"] == "gzip"
        assert whole.headers["vary"].lower() == "accept-encoding"
        assert int(whole.headers["content-length"]) < len(whole.content)
        plain = client.get("/", headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.text == whole.text
        tag = {"If-None-Match": whole.headers["etag"]}
        again = client.get("/", headers=tag)
        assert (again.status_code, again.content) == (304, b"")
        part = client.get("/", headers={"Range": "bytes=3-6", "Accept-Encoding": "gzip"})
        assert (part.status_code, part.text) == (206, "Chat")


def test_a_changed_file_is_sent_again(start_front: StartFront, tmp_path: Path) -> None:
    page = tmp_path / "page"
    page.mkdir()
    page.joinpath("index.html").write_text("one")
    with start_front(web_ui=str(page)).client() as client:
        tag = {"If-None-Match": client.get("/").headers["etag"]}
        page.joinpath("index.html").write_text("three")
        assert client.get("/", headers=tag).text == "three"


def test_a_guest_answers_what_the_page_has_not(start_front: StartFront, folder: Path) -> None:
    front = start_front(known_only=False, web_ui=str(folder), keys=["key"])
    with front.client() as client:
        assert "Chat" in client.get("/").text
        assert client.get("/more.js").status_code == 401
        line = client.get("/more.js", headers=KEY).json()["line"]
        assert line == "GET /more.js HTTP/1.1"


def test_a_page_in_no_frame_and_of_no_other_site(own: Front, guarded: Front) -> None:
    for front in (own, guarded):
        with front.client() as client:
            headers = client.get("/").headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"


def test_the_own_page_loads_its_own_files_alone(own: Front) -> None:
    with own.client() as client:
        answer = client.get("/")
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
    assert "connect-src 'self'" in policy
    assert not any("unsafe" in each or "*" in each or "http" in each for each in policy)
    for file in PAGE.rglob("*"):
        if file.suffix in (".html", ".css", ".js", ".svg"):
            text = file.read_text().replace("http://www.w3.org/", "")
            assert "http://" not in text, file
            assert "https://" not in text.replace("https?://", ""), file
            assert "innerHTML =" not in text or file.name == "markdown.js", file


def test_the_own_page_is_small(own: Front) -> None:
    files = [each for each in PAGE.rglob("*") if each.is_file()]
    assert files
    assert sum(len(gzip.compress(each.read_bytes())) for each in files) < 150_000


def render(front: Front, text: object, headers: dict[str, str] = KEY) -> httpx.Response:
    with front.client() as client:
        return client.post("/api/render", json={"text": text}, headers=headers)


def test_a_text_is_rendered_for_who_has_the_key(own: Front) -> None:
    assert render(own, "*a* <b>").json() == {"html": "<p><em>a</em> &lt;b&gt;</p>\n"}
    assert render(own, "a", {}).status_code == 401


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        (1, 400, "invalid_type"),
        ("a" * (LONGEST + 1), 413, "text_too_long"),
        (">" * 500, 422, "too_complex"),
    ],
)
def test_a_text_that_cannot_be_rendered_is_refused(
    own: Front, text: object, status: int, code: str
) -> None:
    answer = render(own, text)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_text_that_takes_for_ever_is_given_up_and_the_next_is_rendered(own: Front) -> None:
    assert CPU_SECONDS < 10
    answer = render(own, "![" * (LONGEST // 2))
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "too_complex")
    assert render(own, "a").json() == {"html": "<p>a</p>\n"}


def test_the_process_that_renders_ends_with_the_server(start_front: StartFront) -> None:
    front = start_front()
    assert render(front, "a", {}).status_code == 200
    children = Path(f"/proc/{front.process.pid}/task/{front.process.pid}/children")
    rendering = [
        child
        for child in children.read_text().split()
        if b"llamaedge_launcher.markdown" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
    assert len(rendering) == 1
    front.end()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{rendering[0]}").exists():
        assert time.monotonic() < deadline, "it is still there"
        time.sleep(0.05)
    assert "Traceback" not in front.log.read_text()


def test_the_page_asks_for_all_its_modules_at_once_and_for_its_styles_first() -> None:
    index = PAGE.joinpath("index.html").read_text()
    early = re.findall(r'<link rel="modulepreload" fetchpriority="low" href="js/(.*?)">', index)
    modules = {file.name for file in PAGE.joinpath("js").iterdir()} - {"first.js", "main.js"}
    assert sorted(early) == sorted(modules)
    assert index.count("modulepreload") == len(early)
