"""Requests to an application in this process."""

import asyncio
from collections.abc import Sequence
from typing import Any

from starlette.types import ASGIApp


def post(
    app: ASGIApp, path: str, body: bytes, headers: Sequence[tuple[bytes, bytes]] = ()
) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, headers and body of the answer to a POST by a client that stays."""
    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(),
        "query_string": b"", "headers": [(b"host", b"localhost"), *headers],
    }  # fmt: skip
    incoming = [{"type": "http.request", "body": body}]
    sent: list[Any] = []

    async def receive() -> Any:
        if incoming:
            return incoming.pop()
        return await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(asyncio.wait_for(app(scope, receive, send), 10))
    assert [each["type"] for each in sent].count("http.response.start") == 1
    assert not sent[-1].get("more_body", False)
    content = b"".join(each.get("body", b"") for each in sent)
    return sent[0]["status"], dict(sent[0]["headers"]), content
