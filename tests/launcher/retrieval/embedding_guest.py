"""A transport whose guest embeds words, so that texts of the same words are near each other."""

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from llamaedge_launcher.fleet.errors import UnknownModel
from llamaedge_launcher.fleet.recipe import Wanted
from llamaedge_launcher.pool import Unavailable
from llamaedge_launcher.proxy.exchange import GuestGone


@dataclass
class Answer:
    status: int
    body: bytes
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)

    async def read(self) -> bytes:
        body, self.body = self.body, b""
        return body


@dataclass
class EmbeddingGuest:
    """A Transport. ``model`` is None where no model embeds; a text has ``longest`` words."""

    model: str | None = "words"
    size: int = 256
    longest: int = 10_000
    pause: float = 0.0
    base64: bool = True
    strict: bool = False
    name: str = ""
    """Where it is not the model's."""
    busy: int = 0
    """Requests that are refused as if no guest were ready."""
    inputs: list[list[str]] = field(default_factory=list)
    running: int = 0
    """Requests with more in them than what asks whether there is a model."""
    most: int = 0

    def check(self, wanted: Wanted | None) -> None:
        """There is always a place."""

    @asynccontextmanager
    async def send(
        self, request: bytes, *, wanted: Wanted, computes: bool
    ) -> AsyncIterator[Answer]:
        assert computes
        head, _, body = request.partition(b"\r\n\r\n")
        assert head.startswith(b"POST /v1/embeddings HTTP/1.1\r\n")
        assert wanted.kind == "embeddings"
        fields = json.loads(body)
        assert fields.get("model") == wanted.name
        self.running += len(fields["input"]) > 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(self.pause)
            if self.busy:
                self.busy -= 1
                raise (Unavailable("loading"), GuestGone("gone"))[self.busy % 2]
            yield self._answer(fields)
        finally:
            self.running -= len(fields["input"]) > 1

    def _answer(self, wanted: dict[str, Any]) -> Answer:
        if self.model is None:
            return error("This server has no embedding model.", param="model")
        name = self.name or self.model
        if self.strict and wanted.get("model") not in (None, name):
            raise UnknownModel(f"The model {wanted['model']!r} does not exist.")
        texts = wanted["input"]
        self.inputs.append(texts)
        if any(len(re.findall(r"\w+", text)) > self.longest for text in texts):
            return error("too long", param="input", code="context_length_exceeded")
        data = [
            {"index": n, "object": "embedding", "embedding": self._encoded(self.vector(text))}
            for n, text in enumerate(texts)
        ]
        answer = {"object": "list", "data": data, "model": name}
        return Answer(200, json.dumps(answer).encode())

    def vector(self, text: str) -> "np.ndarray[Any, np.dtype[np.float32]]":
        total = np.zeros(self.size, np.float32)
        for word in re.findall(r"\w+", text.lower()):
            seed = hashlib.sha256(f"{self.model} {word}".encode()).digest()[:8]
            total += np.random.default_rng(int.from_bytes(seed)).standard_normal(
                self.size, dtype=np.float32
            )
        return 3 * total

    def _encoded(self, vector: "np.ndarray[Any, np.dtype[np.float32]]") -> object:
        if self.base64:
            return base64.b64encode(vector.astype("<f4").tobytes()).decode()
        return vector.tolist()


def error(message: str, *, param: str, code: str | None = None) -> Answer:
    body = {"error": {"message": message, "type": "invalid_request_error", "param": param}}
    body["error"]["code"] = code  # type: ignore[assignment]
    return Answer(400, json.dumps(body).encode())
