"""Chats over WebSocket: ``python examples/websocket_client.py ws://127.0.0.1:8080 QUESTION``."""

import json
import sys
from collections.abc import Iterator

from websockets.sync.client import connect


def ask(server: str, question: str, key: str = "none") -> Iterator[str]:
    """The answer, piece by piece."""
    headers = {"Authorization": f"Bearer {key}"}
    with connect(f"{server}/v1/chat/completions", additional_headers=headers) as socket:
        messages = [{"role": "user", "content": question}]
        socket.send(json.dumps({"messages": messages, "stream": True, "max_tokens": 64}))
        while (frame := socket.recv()) != "[DONE]":
            chunk = json.loads(frame)
            if "error" in chunk:
                raise RuntimeError(chunk["error"]["message"])
            yield from (choice["delta"].get("content") or "" for choice in chunk["choices"])


if __name__ == "__main__":
    for piece in ask(*sys.argv[1:]):
        print(piece, end="", flush=True)
    print()
