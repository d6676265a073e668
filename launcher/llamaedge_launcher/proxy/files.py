"""/v1/files: upload, list, describe, read, delete."""

import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route, request_response
from starlette.types import ASGIApp, Receive, Scope, Send

from ..files.archive import Archive
from ..files.index import StoredFile
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
from .upload import PURPOSE_PATTERN, receive_file

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
_KEPT = (404, 507)
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
        errors=(507,),
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
    """The handlers of the routes. The archive in ``folder`` is opened when it is first used."""

    def __init__(self, folder: Path, *, most: int) -> None:
        self.on_delete: Callable[[str], Awaitable[None]] | None = None
        """What is told the id of a file that is deleted."""
        self._folder = folder
        self._most = most
        self._opening = threading.Lock()
        self._archive: Archive | None = None

    async def archive(self) -> Archive:
        """The archive. Raises ApiError."""
        try:
            return await run_in_threadpool(self._open)
        except OSError as error:
            raise _unusable(error) from error

    def _open(self) -> Archive:
        with self._opening:
            if self._archive is None:
                self._archive = Archive(self._folder)
            return self._archive

    async def find(self, id_: str) -> tuple[Archive, StoredFile]:
        """The file of this id. Raises ApiError, 404 where there is none."""
        archive = await self.archive()
        file = await run_in_threadpool(archive.get, id_)
        if file is None:
            raise _missing(id_)
        return archive, file

    async def upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /v1/files."""
        archive = await self.archive()
        try:
            file = await receive_file(scope, receive, archive, most=self._most)
        except OSError as error:
            raise _unusable(error) from error
        await JSONResponse(describe(file))(scope, receive, send)

    async def list(self, request: Request) -> Response:
        """GET /v1/files."""
        archive = await self.archive()
        query = request.query_params
        limit = listing.limit_of(query, most=_MOST, otherwise=_MOST)
        after = query.get("after")
        files = await run_in_threadpool(
            archive.page,
            limit=limit + 1,
            newest_first=listing.newest_first(query),
            after=(await self.find(after))[1] if after else None,
            purpose=query.get("purpose"),
        )
        data = [describe(file) for file in files[:limit]]
        return JSONResponse(listing.page(data, more=len(files) > limit))

    async def get(self, request: Request) -> Response:
        """GET /v1/files/{id}."""
        _, file = await self.find(request.path_params["id"])
        return JSONResponse(describe(file))

    async def content(self, request: Request) -> Response:
        """GET /v1/files/{id}/content."""
        archive, file = await self.find(request.path_params["id"])
        return FileResponse(archive.path(file), headers=_RAW, media_type=_BYTES)

    async def download(self, request: Request) -> Response:
        """GET /v1/files/download/{id}: as content(), for a browser to save."""
        archive, file = await self.find(request.path_params["id"])
        path = archive.path(file)
        return FileResponse(path, headers=_RAW, media_type=_BYTES, filename=file.filename)

    async def delete(self, request: Request) -> Response:
        """DELETE /v1/files/{id}."""
        archive, id_ = await self.archive(), request.path_params["id"]
        if not await run_in_threadpool(archive.delete, id_):
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


def _unusable(error: OSError) -> ApiError:
    reason = error.strerror or error
    message = f"files cannot be kept: {reason}; see to the disk, or give another --data-dir"
    return ApiError(507, message, code="storage_error")
