"""The public server with an embedding guest: in a thread, or as a process that can be killed.

``python -m tests.launcher.retrieval.serving FOLDER SETTINGS GUEST`` prints its port; the others are
JSON objects, of Settings' fields and of EmbeddingGuest's.
"""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import uvicorn

from llamaedge_launcher.proxy.app import create_app
from llamaedge_launcher.settings import Settings

from ..conftest import Loading
from .embedding_guest import EmbeddingGuest

REPOSITORY = Path(__file__).parents[3]


def _server(folder: Path, guest: EmbeddingGuest, **more: Any) -> uvicorn.Server:
    settings = Settings(data_dir=folder, **more)
    app = create_app(guest, Loading(), settings, known_only=True, local=True)
    return uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="warning", ws="none"))


def _client(port: int) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0)


@contextmanager
def serving(folder: Path, guest: EmbeddingGuest, **settings: Any) -> Iterator[openai.OpenAI]:
    """A client of a server in a thread, whose guest can be changed meanwhile."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = _server(folder, guest, **settings)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        with _client(listener.getsockname()[1]) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()
        server.config.app.state.records.close()  # type: ignore[union-attr]


@contextmanager
def process(
    folder: Path, settings: dict[str, Any] | None = None, **guest: Any
) -> Iterator[tuple[openai.OpenAI, "subprocess.Popen[str]"]]:
    """A client of a server in a process of its own."""
    told = map(json.dumps, (settings or {}, guest))
    command = [sys.executable, "-m", __spec__.name, str(folder), *told]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    assert server.stdout is not None
    try:
        with _client(int(server.stdout.readline())) as client:
            yield client, server
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def upload(client: openai.OpenAI, name: str, text: str | bytes) -> str:
    data = text if isinstance(text, bytes) else text.encode()
    return client.files.create(file=(name, data), purpose="assistants").id


def until(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def main() -> None:
    folder, settings, guest = sys.argv[1:]
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    embedding = EmbeddingGuest(**json.loads(guest))
    _server(Path(folder), embedding, **json.loads(settings)).run([listener])


if __name__ == "__main__":
    main()
