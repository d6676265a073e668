"""The client's side of an answer, whose event stream never falls silent."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from starlette.types import Send

from .errors import ApiError

Headers = Iterable[tuple[bytes, bytes]]

BEAT = 15.0  # seconds of silence, after which a comment is sent
_COMMENT = b": the answer is being computed\n\n"
_EVENTS = b"text/event-stream"
_UNBUFFERED = (b"x-accel-buffering", b"no")  # for nginx
_HEADERS = [(b"content-type", _EVENTS), (b"cache-control", b"no-cache"), _UNBUFFERED]


class Client:
    """Sends an answer by ``send``, part by part.

    With ``streams`` the client has asked for an event stream. It begins at the latest with the
    first comment; what the guest says afterwards is in its frames, an error too.
    """

    def __init__(self, send: Send, *, streams: bool) -> None:
        self._send = send
        self._streams = streams
        self._sending = asyncio.Lock()
        self._quiet_since = asyncio.get_running_loop().time()
        self._between_frames = True
        self._whole: list[bytes] | None = None
        self._status = 200
        self.begun = False

    @contextmanager
    def kept_awake(self) -> Iterator[None]:
        """Comments are sent within the block."""
        beating = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            beating.cancel()

    async def begin(self, status: int, headers: Headers) -> None:
        """Send the head, unless a comment has been sent: then the body becomes one frame."""
        is_stream = dict(headers).get(b"content-type", b"").lower().startswith(_EVENTS)
        async with self._sending:
            if self.begun:
                self._whole = None if is_stream and status == 200 else []
                self._status = status
                return
            self._streams = is_stream
            await self._start(status, [*headers, _UNBUFFERED] if is_stream else list(headers))

    async def write(self, data: bytes) -> None:
        """Send a part of the body."""
        if self._whole is not None:
            self._whole.append(data)
            return
        async with self._sending:
            await self._part(data)

    async def end(self) -> None:
        """The body is complete."""
        if self._whole is not None:
            body, self._whole = b"".join(self._whole), None
            if not body.lstrip().startswith(b"{"):
                body = ApiError(self._status, body.decode(errors="replace").strip()).body()
            await self.write(b"data: " + b" ".join(body.split(b"\n")) + b"\n\n")
        async with self._sending:
            self._streams = False
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def fail(self, error: ApiError) -> bool:
        """End a stream by an error frame; False if the answer is not a stream."""
        if not self._streams:
            return False
        self._whole = None
        await self.write((b"" if self._between_frames else b"\n\n") + error.frame())
        await self.end()
        return True

    async def _beat(self) -> None:
        now = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(max(0.0, self._quiet_since + BEAT - now()))
            async with self._sending:
                due = now() - self._quiet_since >= BEAT
                if due and self._streams and self._between_frames:
                    if not self.begun:
                        await self._start(200, _HEADERS)
                    await self._part(_COMMENT)
                elif due:
                    self._quiet_since = now()

    async def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.begun = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def _part(self, data: bytes) -> None:
        self._between_frames = data.endswith((b"\n\n", b"\r\n\r\n"))
        await self._send({"type": "http.response.body", "body": data, "more_body": True})
        self._quiet_since = asyncio.get_running_loop().time()
