"""The path that a reverse proxy puts before every other."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Rooted:
    """An ASGI application whose ``app`` does not know that it is served below ``root``.

    The proxy may have taken ``root`` off the path or not. Where ``app`` leads a client to another
    path, that is below ``root`` too.
    """

    def __init__(self, app: ASGIApp, *, root: str) -> None:
        self._app = app
        self._root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        raw = self._root.encode()
        if scope["path"].startswith(f"{self._root}/"):
            path, raw_path = scope["path"][len(self._root) :], scope["raw_path"]
            scope = {**scope, "path": path, "raw_path": raw_path.removeprefix(raw)}

        async def send_below(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(name, _below(raw, name, value)) for name, value in message["headers"]]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, send_below)


def _below(root: bytes, name: bytes, value: bytes) -> bytes:
    if name.lower() != b"location":
        return value
    scheme, colons, rest = value.rpartition(b"://")
    host, slash, path = rest.partition(b"/")
    return scheme + colons + host + root + slash + path
