"""A client of the chat that leaves the CPUs to the servers: it looks at nothing until the end."""

import http.client
import json
import time
from typing import Any
from urllib.parse import urlsplit

Frame = tuple[float, dict[str, Any]]
"""When it came, by time.perf_counter, and what it says."""


class Client:
    """A connection to the server at ``url`` for each request."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=300)

    def chat(self, body: dict[str, Any]) -> list[tuple[float, bytes]]:
        """The lines of the stream that answers ``body``, each with the time at which it came.

        Raises OSError or http.client.HTTPException where it breaks off, ValueError for an error.
        """
        headers = {"Content-Type": "application/json"}
        text = json.dumps(body | {"stream": True})
        try:
            self._connection.request("POST", "/v1/chat/completions", text, headers)
            answer = self._connection.getresponse()
            if answer.status != 200:
                raise ValueError(answer.read())
            lines = []
            while line := answer.readline():
                lines.append((time.perf_counter(), line))
        finally:
            self._connection.close()
        if not lines or b"data: [DONE]\n" not in [line for _, line in lines]:
            raise ValueError("the answer broke off")
        return lines


def frames(lines: list[tuple[float, bytes]]) -> list[Frame]:
    """The frames among the ``lines`` of a stream."""
    return [(at, json.loads(line[6:])) for at, line in lines if line.startswith(b"data: {")]


def has_text(frame: dict[str, Any]) -> bool:
    """Whether ``frame`` brings text."""
    return bool(frame["choices"] and frame["choices"][0]["delta"].get("content"))
