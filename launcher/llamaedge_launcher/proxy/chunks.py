"""/v1/chunks: a file's text in pieces for embeddings."""

import asyncio
from pathlib import Path
from typing import Any

from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ..files.index import StoredFile
from ..files.splitter import SplitError, splitting
from ..files.text import NotTextError
from .body import read_json
from .describe import JSON, STRING, Described, array, operation, record
from .errors import ApiError
from .files import Files
from .gone import until_gone
from .routing import routes_of
from .storing import storing

_KINDS = {".txt": "txt", ".md": "md", ".pdf": "any"}
_AT_ONCE = 2  # texts
_LONGEST = 60  # seconds for one
_LARGEST = 2**31 - 1  # tokens of a chunk
_FIELDS = {"id": str, "filename": str, "chunk_capacity": int}
_CALLED = {str: "a string", int: "a whole number"}

DESCRIBED: Described = {
    ("/v1/chunks", "POST"): operation(
        "A file's text in chunks of at most so many tokens",
        tag="files",
        body=record(
            {
                "id": STRING,
                "filename": STRING,
                "chunk_capacity": {"type": "integer", "minimum": 1, "maximum": _LARGEST},
            }
        ),
        answers={JSON: record({"id": STRING, "filename": STRING, "chunks": array(STRING)})},
        errors=(404, 503, 504, 507),
    ),
}


class Chunks:
    """An ASGI application that splits one of ``files`` into chunks.

    A process of its own does it: some texts take a splitter for ever, and a process can be
    ended, when the time is up or the client has gone.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        wanted = _checked(await read_json(scope, receive, *_FIELDS))
        file = await self._files.find(wanted["id"])
        if file.filename != wanted["filename"]:
            message = f"the file {file.id} is named {file.filename!r}"
            raise ApiError(404, message, code="file_not_found", param="filename")
        kind = _KINDS.get(Path(file.filename).suffix.lower())
        if kind is None:
            message = f"{file.filename!r} is no .txt, .md or .pdf, which are what can be split"
            raise ApiError(400, message, code="unsupported_file", param="filename")
        with storing("files"):
            split = self._split(kind, wanted["chunk_capacity"], file)
            chunks = await until_gone(receive, split)
        if chunks is not None:
            answer = {"id": file.id, "filename": file.filename, "chunks": chunks}
            await JSONResponse(answer)(scope, receive, send)

    async def _split(self, kind: str, capacity: int, file: StoredFile) -> list[str]:
        try:
            async with (
                self._turns,
                self._files.local(file) as path,
                splitting(path, kind=kind, most=capacity, overlap=0, within=_LONGEST) as chunks,
            ):
                return [chunk async for chunk in chunks]
        except TimeoutError as error:
            message = f"the text was not split within {_LONGEST} s; give a larger"
            message = f"{message} chunk_capacity, or a shorter file"
            raise ApiError(504, message, code="timeout", param="chunk_capacity") from error
        except NotTextError as error:
            message = f"{file.filename!r} cannot be split: {error}"
            raise ApiError(400, message, code="unsupported_file", param="id") from error
        except SplitError as error:
            message = "the text could not be split; the server's log has the details"
            raise ApiError(500, message) from error


def routes(files: Files) -> list[Route]:
    """Split ``files``."""
    return routes_of({"/v1/chunks": {"POST": Chunks(files)}}, DESCRIBED)


def _checked(request: dict[str, Any]) -> dict[str, Any]:
    capacity = request["chunk_capacity"]
    if isinstance(capacity, float) and capacity.is_integer():
        request = {**request, "chunk_capacity": int(capacity)}
    for name, kind in _FIELDS.items():
        if type(request[name]) is not kind:
            raise ApiError(400, f"{name} must be {_CALLED[kind]}", code="invalid_type", param=name)
    if not 1 <= request["chunk_capacity"] <= _LARGEST:
        message = f"chunk_capacity must be from 1 to {_LARGEST} tokens"
        raise ApiError(400, message, code="invalid_value", param="chunk_capacity")
    return request
