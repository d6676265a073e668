"""/v1/vector_stores/{store}/files and /file_batches."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from ...retrieval.library import Library
from ...retrieval.records import COMPLETED, IN_PROGRESS, Batch, Chunking, Entry, Store
from ...retrieval.tables import Page
from .. import listing
from . import fields, shapes
from .shelf import Shelf

_POLL = "200"  # milliseconds
_HEAD = '{"object": "vector_store.file_content.page", "data": ['
_TAIL = '], "has_more": false, "next_page": null}'


class Entries:
    """The handlers of the routes; ``body`` is the JSON object that came."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def create(self, request: Request, body: Mapping[str, Any]) -> Response:
        """POST /v1/vector_stores/{store}/files."""
        given = fields.take(body, fields.NEW_FILE)
        fields.needed(given, "file_id")
        store = await self._store(request)
        entry = await self._made(store, given)
        await self._shelf.check_model(store)
        await self._shelf.add([entry])
        return await self._describe(store.id, entry.file)

    async def list(self, request: Request) -> Response:
        """GET /v1/vector_stores/{store}/files."""
        store = await self._shelf.store(request.path_params["store"])
        return await self._page(request, store=store.id)

    async def get(self, request: Request) -> Response:
        """GET /v1/vector_stores/{store}/files/{file}."""
        return _described(shapes.entry(await self._entry(request)))

    async def change(self, request: Request, body: Mapping[str, Any]) -> Response:
        """POST /v1/vector_stores/{store}/files/{file}."""
        given = fields.take(body, fields.CHANGED_FILE)
        attributes = fields.needed(given, "attributes")
        entry = await self._entry(request)
        await self._shelf.ask(
            lambda library: library.catalogue.change_entry(
                entry.store, entry.file, attributes=attributes
            )
        )
        return await self._describe(entry.store, entry.file)

    async def content(self, request: Request) -> Response:
        """GET /v1/vector_stores/{store}/files/{file}/content: its chunks."""
        entry = await self._entry(request)
        if entry.status != COMPLETED:
            message = f"is {entry.status}; its chunks are there once it is {COMPLETED}"
            raise fields.wrong("file_id", message)
        library = await self._shelf.library()
        return StreamingResponse(_content(library, entry), media_type="application/json")

    async def delete(self, request: Request) -> Response:
        """DELETE /v1/vector_stores/{store}/files/{file}."""
        entry = await self._entry(request)
        await self._shelf.ask(
            lambda library: library.forget(library.catalogue.remove(entry.store, entry.file))
        )
        return JSONResponse(shapes.deleted(entry.file, "vector_store.file"))

    async def create_batch(self, request: Request, body: Mapping[str, Any]) -> Response:
        """POST /v1/vector_stores/{store}/file_batches."""
        given = fields.take(body, fields.NEW_BATCH)
        if ("files" in given) is ("file_ids" in given):
            raise fields.wrong("file_ids", "or files must be given, and not both")
        common = {name: given[name] for name in fields.FILE if name in given}
        wanted = given.get("files") or [
            {"file_id": each, **common} for each in given.get("file_ids", ())
        ]
        if not wanted:
            raise fields.wrong("file_ids", "names no file")
        store = await self._store(request)
        batch = Batch(store=store.id)
        made = [await self._made(store, each, batch=batch.id) for each in wanted]
        await self._shelf.check_model(store)
        await self._shelf.add(list({each.file: each for each in made}.values()), batch)
        return await self._describe_batch(batch)

    async def get_batch(self, request: Request) -> Response:
        """GET /v1/vector_stores/{store}/file_batches/{batch}."""
        return await self._describe_batch(await self._batch(request))

    async def cancel_batch(self, request: Request) -> Response:
        """POST /v1/vector_stores/{store}/file_batches/{batch}/cancel."""
        batch = await self._batch(request)
        await self._shelf.ask(lambda library: library.forget(library.catalogue.cancel(batch.id)))
        return await self._describe_batch(await self._batch(request))

    async def list_batch(self, request: Request) -> Response:
        """GET /v1/vector_stores/{store}/file_batches/{batch}/files."""
        batch = await self._batch(request)
        return await self._page(request, store=batch.store, batch=batch.id)

    async def _store(self, request: Request) -> Store:
        return await self._shelf.living(request.path_params["store"])

    async def _entry(self, request: Request) -> Entry:
        store = await self._shelf.store(request.path_params["store"])
        return await self._shelf.entry(store.id, request.path_params["file"])

    async def _batch(self, request: Request) -> Batch:
        store = await self._shelf.store(request.path_params["store"])
        return await self._shelf.batch(store.id, request.path_params["batch"])

    async def _made(
        self, store: Store, given: Mapping[str, Any], *, batch: str | None = None
    ) -> Entry:
        sizes = given.get("chunking_strategy", Chunking())
        return Entry(
            store=store.id,
            file=given["file_id"],
            filename=await self._shelf.filename(given["file_id"]),
            attributes=given.get("attributes", {}),
            most=sizes.most,
            overlap=sizes.overlap,
            batch=batch,
        )

    async def _page(self, request: Request, **where: str) -> Response:
        query = request.query_params
        limit, newest_first = fields.listed(query)
        where |= fields.status(query)
        cursors = {}
        for name in ("after", "before"):
            if query.get(name):
                cursor = await self._shelf.entry(where["store"], query[name])
                cursors[name] = (cursor.created, cursor.file)
        page = Page(limit=limit + 1, newest_first=newest_first, **cursors)
        found = await self._shelf.ask(lambda library: library.catalogue.entries(page, **where))
        data = [shapes.entry(each) for each in fields.cut(found, page)]
        return JSONResponse(listing.page(data, more=len(found) > limit))

    async def _describe(self, store: str, file: str) -> Response:
        return _described(shapes.entry(await self._shelf.entry(store, file)))

    async def _describe_batch(self, batch: Batch) -> Response:
        usage = await self._shelf.ask(lambda library: library.catalogue.usage(batch=batch.id))
        return _described(shapes.batch(batch, usage))


def _described(found: dict[str, Any]) -> Response:
    """An object, with when to ask again for one that is not done; OpenAI's clients do."""
    headers = {"openai-poll-after-ms": _POLL} if found["status"] == IN_PROGRESS else None
    return JSONResponse(found, headers=headers)


def _content(library: Library, entry: Entry) -> Iterator[str]:
    yield _HEAD
    comma = ""
    for text in library.texts(entry.number):
        yield comma + json.dumps({"type": "text", "text": text})
        comma = ", "
    yield _TAIL
