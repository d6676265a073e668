"""/v1/files: upload, list, describe, read, delete."""

import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route, request_response
from starlette.types import ASGIApp, Receive, Scope, Send

from ..files.index import StoredFile
from ..files.kept import FileStore
from . import listing
from .describe import (
    ANYTHING,
    BOOLEAN,
    BYTES,
    COUNT,
    INTEGER,
    JSON,
    STRING,
    Described,
    const,
    operation,
    record,
)
from .errors import ApiError
from .routing import routes_of
from .storing import storing
from .upload import PURPOSE_PATTERN, receive_file

Result = TypeVar("Result")

_MOST = 10_000  # files of a page
_RAW = {"X-Content-Type-Options": "nosniff"}
_BYTES = "application/octet-stream"

_FILE = record(
    {
        "id": STRING,
        "bytes": COUNT,
        "created_at": INTEGER,
        "filename": STRING,
        "object": const("file"),
        "purpose": STRING,
        "status": const("processed"),
    }
)
_PURPOSE = {"type": "string", "pattern": PURPOSE_PATTERN}
_KEPT = (404, 503, 507)
DESCRIBED: Described = {
    ("/v1/files", "GET"): operation(
        "The files, a page at a time",
        tag="files",
        query={**listing.asked(_MOST), "purpose": STRING},
        answers={JSON: listing.described(_FILE)},
        errors=(400, *_KEPT),
    ),
    ("/v1/files", "POST"): operation(
        "Upload a file",
        tag="files",
        form=record(
            {"file": {"type": "string", "format": "binary"}},
            purpose={"type": "string", "pattern": PURPOSE_PATTERN},
        ),
        answers={JSON: _FILE},
        errors=(503, 507),
    ),
    ("/v1/files/{id}", "GET"): operation(
        "What a file is", tag="files", answers={JSON: _FILE}, errors=_KEPT
    ),
    ("/v1/files/{id}", "DELETE"): operation(
        "Delete a file",
        tag="files",
        answers={JSON: record({"id": STRING, "object": const("file"), "deleted": BOOLEAN})},
        errors=_KEPT,
    ),
    ("/v1/files/{id}/content", "GET"): operation(
        "A file's bytes", tag="files", answers={BYTES: ANYTHING}, errors=_KEPT
    ),
    ("/v1/files/download/{id}", "GET"): operation(
        "A file's bytes, for a browser to save",
        tag="files",
        answers={BYTES: ANYTHING},
        errors=_KEPT,
    ),
}


class Files:
    """The handlers of the routes. ``open_`` opens what keeps the files, when it is first used."""

    def __init__(self, open_: Callable[[], FileStore], *, most: int) -> None:
        self.on_delete: Callable[[str], Awaitable[None]] | None = None
        """What is told the id of a file that is deleted."""
        self._open = open_
        self._most = most
        self._opening = threading.Lock()
        self._opened: FileStore | None = None

    async def find(self, id_: str) -> StoredFile:
        """The file of this id. Raises ApiError, 404 where there is none."""
        with storing("files"):
            file = await self.look_for(id_)
        if file is None:
            raise _missing(id_)
        return file

    async def look_for(self, id_: str) -> StoredFile | None:
        """The file of this id, if it is there. Raises OSError."""
        return await self._ask(lambda store: store.get(id_))

    @asynccontextmanager
    async def local(self, file: StoredFile) -> AsyncIterator[Path]:
        """Within the block the file lies on this machine. Raises OSError."""
        with ExitStack() as stack:
            yield await self._ask(lambda store: stack.enter_context(store.local(file)))

    async def _ask(self, work: Callable[[FileStore], Result]) -> Result:
        """What ``work`` makes of what keeps the files, in a thread. Raises OSError."""
        return await run_in_threadpool(lambda: work(self._first()))

    def _first(self) -> FileStore:
        with self._opening:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    async def upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /v1/files."""
        with storing("files"):
            store = await run_in_threadpool(self._first)
            file = await receive_file(scope, receive, store, most=self._most)
        await JSONResponse(describe(file))(scope, receive, send)

    async def list(self, request: Request) -> Response:
        """GET /v1/files."""
        query = request.query_params
        limit = listing.limit_of(query, most=_MOST, otherwise=_MOST)
        after = query.get("after")
        newest_first = listing.newest_first(query)
        cursor = await self.find(after) if after else None
        with storing("files"):
            files = await self._ask(
                lambda store: store.page(
                    limit=limit + 1,
                    newest_first=newest_first,
                    after=cursor,
                    purpose=query.get("purpose"),
                )
            )
        data = [describe(file) for file in files[:limit]]
        return JSONResponse(listing.page(data, more=len(files) > limit))

    async def get(self, request: Request) -> Response:
        """GET /v1/files/{id}."""
        return JSONResponse(describe(await self.find(request.path_params["id"])))

    async def content(self, request: Request) -> Response:
        """GET /v1/files/{id}/content."""
        return await self._sent(request)

    async def download(self, request: Request) -> Response:
        """GET /v1/files/download/{id}: as content(), for a browser to save."""
        return await self._sent(request, saved=True)

    async def _sent(self, request: Request, *, saved: bool = False) -> Response:
        file = await self.find(request.path_params["id"])
        name = file.filename if saved else None
        with storing("files"):
            try:
                found = await self._ask(lambda store: store.contents(file))
            except FileNotFoundError as error:
                raise _missing(file.id) from error
        if isinstance(found, Path):
            return FileResponse(found, headers=_RAW, media_type=_BYTES, filename=name)
        headers = {**_RAW, "Content-Length": str(file.bytes)}
        if name is not None:
            headers["Content-Disposition"] = f"attachment; filename*=utf-8''{quote(name)}"
        if request.method == "HEAD":
            return Response(headers=headers, media_type=_BYTES)
        return StreamingResponse(iterate_in_threadpool(found), headers=headers, media_type=_BYTES)

    async def delete(self, request: Request) -> Response:
        """DELETE /v1/files/{id}."""
        id_ = request.path_params["id"]
        with storing("files"):
            deleted = await self._ask(lambda store: store.delete(id_))
        if not deleted:
            raise _missing(id_)
        if self.on_delete is not None:
            await self.on_delete(id_)
        return JSONResponse({"id": id_, "object": "file", "deleted": True})


def routes(files: Files) -> list[Route]:
    """Upload, list, describe, read and delete ``files``."""
    apps: dict[str, dict[str, ASGIApp]] = {
        "/v1/files": {"GET": request_response(files.list), "POST": files.upload},
        "/v1/files/{id}": {
            "GET": request_response(files.get),
            "DELETE": request_response(files.delete),
        },
        "/v1/files/{id}/content": {"GET": request_response(files.content)},
        "/v1/files/download/{id}": {"GET": request_response(files.download)},
    }
    return routes_of(apps, DESCRIBED)


def describe(file: StoredFile) -> dict[str, object]:
    """OpenAI's file object."""
    return {
        "id": file.id,
        "bytes": file.bytes,
        "created_at": file.created_at,
        "filename": file.filename,
        "object": "file",
        "purpose": file.purpose,
        "status": "processed",
    }


def _missing(id_: str) -> ApiError:
    return ApiError(404, f"there is no file {id_!r}", code="file_not_found", param="id")
