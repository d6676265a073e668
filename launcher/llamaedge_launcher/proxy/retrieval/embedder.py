"""The way to the embedding model: requests to a guest's /v1/embeddings."""

import base64
import json
from collections.abc import Sequence
from typing import Any

from ...fleet.errors import DoesNotFit, LoadFailed, UnknownModel
from ...fleet.recipe import Wanted
from ...pool import Overloaded, Unavailable
from ...retrieval.embedding import Busy, Refused
from ...retrieval.records import Vectors
from ..exchange import GuestGone
from ..transport import TimedOut, Transport

_MOST = 256 * 1024 * 1024  # bytes of an answer
_TOO_LONG = "context_length_exceeded"
NO_MODEL = (
    "this server runs no embedding model; start it with one: llamaedge run --embeddings demo, or"
    " --embeddings MODEL"
)


class GuestEmbedder:
    """An Embedder that asks a guest behind ``transport``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def embed(self, texts: Sequence[str], model: str | None) -> tuple[Vectors, str]:
        """As Embedder's. A model that does not go by its name any more may do so by another."""
        try:
            status, body = await self._answer(texts, model)
        except UnknownModel:
            if model is None:
                raise Refused(NO_MODEL, missing=True) from None
            return await self.embed(texts, None)
        if status == 200:
            return _vectors(body, len(texts))
        message, code, param = _error(body)
        if param == "model" and model is not None:
            return await self.embed(texts, None)
        if param == "model":
            raise Refused(NO_MODEL, missing=True)
        message = f"the embedding model answered {status}: {message}"
        raise Refused(message, too_long=code == _TOO_LONG)

    async def _answer(self, texts: Sequence[str], model: str | None) -> tuple[int, bytes]:
        fields: dict[str, object] = {"input": list(texts), "encoding_format": "base64"}
        if model is not None:
            fields["model"] = model
        wanted = Wanted(model, "embeddings")
        try:
            async with self._transport.send(
                _request(fields), wanted=wanted, computes=True
            ) as answer:
                parts: list[bytes] = []
                while sum(map(len, parts)) <= _MOST and (data := await answer.read()):
                    parts.append(data)
                return answer.status, b"".join(parts)
        except (Unavailable, Overloaded, GuestGone, TimedOut) as error:
            raise Busy(error) from error
        except (DoesNotFit, LoadFailed) as error:
            raise Refused(str(error)) from error


def _request(wanted: dict[str, object]) -> bytes:
    body = json.dumps(wanted).encode()
    lines = (
        "POST /v1/embeddings HTTP/1.1",
        "host: localhost",
        "connection: close",
        "content-type: application/json",
        f"content-length: {len(body)}",
    )
    return "\r\n".join((*lines, "", "")).encode() + body


def _error(body: bytes) -> tuple[str, str, str]:
    """The message, code and parameter of an error; a guest may know no error objects."""
    try:
        error = json.loads(body)["error"]
        return str(error["message"]), str(error.get("code")), str(error.get("param"))
    except (ValueError, TypeError, KeyError, AttributeError):
        return body.decode(errors="replace").strip()[:1000], "", ""


def _vectors(body: bytes, count: int) -> tuple[Vectors, str]:
    import numpy as np

    try:
        answer = json.loads(body)
        rows = [_row(each["embedding"]) for each in answer["data"]]
        found = np.array(rows, np.float32)
        if found.ndim != 2 or len(found) != count or not np.isfinite(found).all():
            raise ValueError(f"{len(rows)} vectors for {count} texts")
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        return found / np.maximum(lengths, 1e-12), str(answer.get("model", ""))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Refused(f"the embedding model's answer cannot be read: {error}") from error


def _row(embedding: Any) -> Vectors:
    """A vector as base64 of float32, or as numbers from guests that know no other way."""
    import numpy as np

    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding), "<f4")
    return np.array(embedding, np.float32)
