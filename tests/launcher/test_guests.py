"""`llamaedge guests` and `--guest official`."""

import hashlib
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from llamaedge_launcher import cli, guests

WASM = b"\0asm\1\0\0\0"
SUM = hashlib.sha256(WASM).hexdigest()
Output = pytest.CaptureFixture[str]


class Page:
    """Where releases are: what each path answers."""

    def __init__(self) -> None:
        self.files = {"/0.28.1/llama-api-server.wasm": WASM, "/0.9/llama-api-server.wasm": WASM}
        self.status = 200


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """The page on loopback, asked instead of GitHub; nothing is here yet."""
    page = Page()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = page.files.get(self.path)
            self.send_response(404 if content is None else page.status)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(guests, "RELEASES", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("LLAMAEDGE_CACHE_DIR", str(tmp_path))
    yield page
    server.shutdown()
    server.server_close()


def run(line: str) -> int:
    return cli.execute(line.split())


def listed(out: Output) -> list[list[str]]:
    assert run("guests") == 0
    return [line.split("\t") for line in out.readouterr().out.splitlines()]


@pytest.mark.parametrize("option", ["--trust", f"--sha256 {SUM}", f"--sha256 {SUM.upper()}"])
def test_a_release_is_fetched_and_found(page: Page, capsys: Output, option: str) -> None:
    assert listed(capsys) == []
    assert run(f"guests fetch 0.28.1 {option}") == 0
    assert f"0.28.1 is here, SHA-256 {SUM}\n" in capsys.readouterr().out
    assert listed(capsys) == [["0.28.1", "8 bytes", SUM]]
    assert guests.find("official@0.28.1").read_bytes() == WASM


def test_official_alone_is_the_newest(page: Page, capsys: Output) -> None:
    for version in ("0.28.1", "0.9"):
        assert run(f"guests fetch {version} --trust") == 0
    assert guests.find("official").parent.name == "0.28.1"
    capsys.readouterr()
    assert [row[0] for row in listed(capsys)] == ["0.28.1", "0.9"]


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("guests fetch 0.28.1", 2, "give either --sha256 CHECKSUM or --trust"),
        (f"guests fetch 0.28.1 --trust --sha256 {SUM}", 2, "give either"),
        ("guests fetch ../x --trust", 2, "'../x' is no version, such as 0.28.1"),
        ("guests fetch 7 --trust", 1, "there is no such release: .*/7/llama-api-server.wasm"),
        ("guests fetch 0.28.1 --sha256 abc", 1, f"has the SHA-256 {SUM}, not abc"),
        ("run --guest official", 1, "official is not here; .* guests fetch VERSION --sha256"),
        ("run --guest official@0.9", 1, "official@0.9 is not here; .* guests fetch 0.9 --sha"),
    ],
)
def test_a_mistake_is_one_line(page: Page, capsys: Output, line: str, code: int, said: str) -> None:
    assert run(line) == code
    captured = capsys.readouterr()
    assert re.match(f"error: .*{said}.*\n$", captured.err), captured.err
    assert listed(capsys) == []


def test_what_is_no_module_is_not_kept(page: Page, capsys: Output) -> None:
    page.files["/0.28.1/llama-api-server.wasm"] = b"<html>"
    assert run("guests fetch 0.28.1 --trust") == 1
    assert "is not a WebAssembly module" in capsys.readouterr().err
    page.status = 403
    assert run("guests fetch 0.9 --trust") == 1
    assert "is refused: status 403" in capsys.readouterr().err
    assert listed(capsys) == []


def test_a_release_that_changed_is_not_taken(page: Page, capsys: Output) -> None:
    assert run("guests fetch 0.28.1 --trust") == 0
    other = WASM + b"\0\1\0"
    page.files["/0.28.1/llama-api-server.wasm"] = other
    assert run("guests fetch 0.28.1 --trust") == 1
    assert f"has changed: its SHA-256 is {hashlib.sha256(other).hexdigest()}, and was {SUM}" in (
        capsys.readouterr().err
    )
    assert guests.find("official").read_bytes() == WASM


def test_a_file_that_changed_is_not_run(page: Page, capsys: Output) -> None:
    assert run("guests fetch 0.28.1 --trust") == 0
    guests.find("official").write_bytes(WASM + b"\0\1\0")
    assert run("run --guest official") == 1
    assert re.search("has changed: .*guests fetch 0.28.1 --sha256", capsys.readouterr().err)
