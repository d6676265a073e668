"""Event streams of the public server, before a transport in the test's place."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from llamaedge_launcher.fleet.recipe import Wanted
from llamaedge_launcher.pool import Overloaded
from llamaedge_launcher.proxy import client
from llamaedge_launcher.proxy.app import create_app
from llamaedge_launcher.proxy.exchange import GuestGone
from llamaedge_launcher.proxy.guest_api import CHAT
from llamaedge_launcher.proxy.transport import TimedOut
from llamaedge_launcher.settings import Settings

from .asgi import post
from .conftest import Loading

EVENTS = [(b"content-type", b"text/event-stream")]
JSON = [(b"content-type", b"application/json")]
LATE = 0.3  # seconds, some beats


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "BEAT", 0.05)


class Script:
    """A transport whose guest does one step after another: bytes, a pause, or an exception."""

    def __init__(
        self, *steps: bytes | float | Exception, status: int = 200, headers: Any = EVENTS
    ) -> None:
        self.status = status
        self.headers = headers
        self.steps = list(steps)

    def check(self, wanted: Wanted | None) -> None:
        """It always has a place."""

    @asynccontextmanager
    async def send(
        self, request: bytes, *, wanted: Wanted, computes: bool
    ) -> AsyncIterator["Script"]:
        while self.steps and isinstance(self.steps[0], float):
            await asyncio.sleep(self.steps.pop(0))  # type: ignore[arg-type]
        if self.steps and isinstance(self.steps[0], (Overloaded, TimedOut)):
            raise self.steps[0]
        yield self

    async def read(self) -> bytes:
        while self.steps:
            match self.steps.pop(0):
                case float(seconds):
                    await asyncio.sleep(seconds)
                case bytes(data):
                    return data
                case Exception() as error:
                    raise error
        return b""


def ask(script: Script, folder: Path, **fields: Any) -> tuple[int, dict[bytes, bytes], bytes]:
    """The answer to a chat request: status, headers, body."""
    app = create_app(
        script,
        Loading(),
        Settings(data_dir=folder),
        known_only=True,
        local=True,
    )
    body = json.dumps({"messages": [], "stream": True, **fields}).encode()
    return post(app, CHAT, body)


def frames(body: bytes) -> tuple[list[bytes], int]:
    """The frames, and the number of comments among them."""
    assert body.endswith(b"\n\n")
    parts = body.removesuffix(b"\n\n").split(b"\n\n")
    return [part for part in parts if part[:1] != b":"], sum(part[:1] == b":" for part in parts)


def error_of(frame: bytes) -> Any:
    return json.loads(frame.removeprefix(b"data: "))["error"]


def test_a_quick_stream_has_no_comment(tmp_path: Path) -> None:
    status, headers, body = ask(Script(b"data: 1\n\n", b"data: [DONE]\n\n"), tmp_path)
    assert status == 200
    assert headers[b"x-accel-buffering"] == b"no"
    assert body == b"data: 1\n\ndata: [DONE]\n\n"


@pytest.mark.usefixtures("quick")
def test_comments_come_while_no_token_does(tmp_path: Path) -> None:
    script = Script(b"data: 1\n\n", LATE, b"data: 2\n\n", LATE, b"data: [DONE]\n\n")
    found, comments = frames(ask(script, tmp_path)[2])
    assert found == [b"data: 1", b"data: 2", b"data: [DONE]"]
    assert comments >= 1


@pytest.mark.usefixtures("quick")
def test_comments_come_before_the_guest_answers(tmp_path: Path) -> None:
    status, headers, body = ask(Script(LATE, b"data: 1\n\n", b"data: [DONE]\n\n"), tmp_path)
    assert status == 200
    assert headers[b"content-type"] == b"text/event-stream"
    assert headers[b"x-accel-buffering"] == b"no"
    found, comments = frames(body)
    assert found == [b"data: 1", b"data: [DONE]"]
    assert comments >= 1


@pytest.mark.usefixtures("quick")
def test_no_comment_comes_within_a_frame(tmp_path: Path) -> None:
    body = ask(Script(b"data: on", LATE, b"e\n\n"), tmp_path)[2]
    assert body == b"data: one\n\n"


@pytest.mark.usefixtures("quick")
def test_no_comment_comes_where_no_stream_was_asked_for(tmp_path: Path) -> None:
    script = Script(LATE, b'{"a":', LATE, b"1}", headers=JSON)
    status, headers, body = ask(script, tmp_path, stream=False)
    assert (status, headers[b"content-type"], body) == (200, b"application/json", b'{"a":1}')
    assert b"x-accel-buffering" not in headers


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("script", "message"),
    [
        (Script(LATE, b'{"error":\n {"message": "mine"}}', status=400, headers=JSON), "mine"),
        (Script(LATE, b"no luck", status=500, headers=[]), "no luck"),
        (Script(LATE, Overloaded("all wait")), "all wait"),
        (Script(LATE, GuestGone("it ended")), "it ended"),
        (Script(LATE, TimedOut("it took too long")), "it took too long"),
        (Script(b"data: on", TimedOut("it took too long")), "it took too long"),
        (Script(b"data: on", GuestGone("it ended")), "it ended"),
    ],
)
def test_an_error_after_the_first_comment_is_a_frame(
    tmp_path: Path, script: Script, message: str
) -> None:
    status, _, body = ask(script, tmp_path)
    assert status == 200
    assert error_of(frames(body)[0][-1])["message"] == message


@pytest.mark.parametrize(
    ("script", "status"),
    [
        (Script(b'{"error": {}}', status=400, headers=JSON), 400),
        (Script(b"no luck", status=500, headers=[]), 500),
        (Script(Overloaded("all wait")), 429),
        (Script(TimedOut("it took too long")), 504),
    ],
)
def test_an_early_error_has_its_status(tmp_path: Path, script: Script, status: int) -> None:
    assert ask(script, tmp_path)[0] == status
