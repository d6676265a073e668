"""uvicorn's WebSocket connections, as this server wants them."""

import socket
from typing import Any, cast

from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Response
from websockets.server import ServerProtocol

from .errors import ApiError
from .websocket import STOPPING

_SEND_BUFFER = 65536  # bytes that the system keeps for a client that does not read


class _Handshake(ServerProtocol):
    """Refuses a handshake with an error object."""

    def reject(self, status: int, text: str) -> Response:
        """The refusal, with ``text`` as the message."""
        response = super().reject(status, text)
        response.body = ApiError(status, text.strip() or "no WebSocket is served here").body()
        for name, value in (
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(response.body))),
        ):
            del response.headers[name]
            response.headers[name] = value
        return response


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Ends a connection after its answers, and one whose client reads nothing any more.

    What is sent waits for the client to read, and the guest with it.
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.conn = _Handshake(max_size=self.config.ws_max_size, logger=self.logger)

    def connection_made(self, transport: Any) -> None:
        """Let the system keep little of what the client does not read."""
        super().connection_made(transport)
        found = transport.get_extra_info("socket")
        found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)

    def data_received(self, data: bytes) -> None:
        """Take what has come; a handshake that cannot be read is refused."""
        super().data_received(data)
        broken = self.conn.handshake_exc
        if broken is not None and not self.handshake_initiated:
            self.handshake_initiated = self.handshake_complete = self.close_sent = True
            said = b"".join(self.conn.data_to_send())
            if not said:
                self.conn.send_response(self.conn.reject(400, f"the handshake is broken: {broken}"))
                said = b"".join(self.conn.data_to_send())
            self.transport.write(said)
            self.transport.close()

    def shutdown(self) -> None:
        """Have the application close the connection when its answers are complete."""
        if self.handshake_complete and not self.close_sent:
            self.queue.put_nowait(cast(ASGIReceiveEvent, {"type": STOPPING}))
        else:
            super().shutdown()

    def keepalive_timeout(self) -> None:
        """Close without waiting for a client that reads nothing."""
        super().keepalive_timeout()
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    async def send(self, message: ASGISendEvent) -> None:
        """Send, when the client has read what was sent. Raises ClientDisconnected."""
        await self.writable.wait()
        if self.close_sent:
            raise ClientDisconnected
        await super().send(message)


UVICORN: dict[str, Any] = {
    "ws": WebSocketProtocol,
    "ws_ping_interval": 20.0,
    "ws_ping_timeout": 20.0,
}
"""What uvicorn's configuration has of it; pings are in seconds."""
