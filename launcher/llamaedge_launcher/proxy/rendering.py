"""/api/render: Markdown to HTML for the web page."""

import asyncio
import json
import sys
from contextlib import suppress

from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from .body import read_json
from .describe import JSON, STRING, Described, operation, record
from .errors import ApiError, retry_after
from .routing import routes_of

LONGEST = 200_000
"""Characters of a text."""
_COMMAND = (sys.executable, "-P", "-m", "llamaedge_launcher.markdown.process")
_SECONDS = 20.0  # by the clock; a machine that is busy needs more than it computes
_WAITING = 32  # texts
_LINE = 64 << 20  # bytes of an answer

DESCRIBED: Described = {
    ("/api/render", "POST"): operation(
        "HTML for a text in Markdown",
        tag="page",
        body=record({"text": {**STRING, "maxLength": LONGEST}}),
        answers={JSON: record({"html": STRING})},
        errors=(422, 429),
    ),
}


class Rendering:
    """An ASGI application that renders ``text`` of a request, one after another.

    A process of its own does it, which starts when it is first needed, and is ended and
    replaced if a text takes it too long.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._process: asyncio.subprocess.Process | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        text = _checked((await read_json(scope, receive, "text"))["text"])
        if self._waiting >= _WAITING:
            message = f"{_WAITING} texts wait to be rendered; ask again later"
            raise ApiError(429, message, code="overloaded", headers=retry_after(1))
        self._waiting += 1
        try:
            async with self._turn:
                html = await self._render(text)
        finally:
            self._waiting -= 1
        await JSONResponse({"html": html})(scope, receive, send)

    async def _render(self, text: str) -> str:
        process = await self._running()
        line = b""
        try:
            with suppress(TimeoutError):
                line = await asyncio.wait_for(_exchange(process, text), _SECONDS)
        finally:
            if not line.endswith(b"\n"):
                self._end(process)
        if not line.endswith(b"\n"):
            message = "the text takes too long to render; show it as it is"
            raise ApiError(422, message, code="too_complex", param="text")
        answer: dict[str, str] = json.loads(line)
        if "deep" in answer:
            raise ApiError(422, answer["deep"], code="too_complex", param="text")
        return answer["html"]

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *_COMMAND,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=_LINE,
            )
        return self._process

    def _end(self, process: asyncio.subprocess.Process) -> None:
        self._process = None
        with suppress(ProcessLookupError):
            process.kill()


def routes() -> list[Route]:
    """Render texts."""
    return routes_of({"/api/render": {"POST": Rendering()}}, DESCRIBED)


async def _exchange(process: asyncio.subprocess.Process, text: str) -> bytes:
    """The answer's line; what there is of it if the process ended."""
    assert process.stdin
    assert process.stdout
    try:
        process.stdin.write(json.dumps(text).encode() + b"\n")
        await process.stdin.drain()
    except ConnectionError:
        return b""
    return await process.stdout.readline()


def _checked(text: object) -> str:
    if not isinstance(text, str):
        raise ApiError(400, "text must be a string", code="invalid_type", param="text")
    if len(text) > LONGEST:
        message = f"the text has {len(text)} characters; at most {LONGEST} are rendered"
        raise ApiError(413, message, code="text_too_long", param="text")
    return text
