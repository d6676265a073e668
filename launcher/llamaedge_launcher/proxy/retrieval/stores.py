"""/v1/vector_stores: make, list, describe, change, delete, search."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ...retrieval.records import Chunking, Entry, Store
from ...retrieval.tables import Page
from .. import listing
from . import fields, shapes
from .shelf import Shelf


class Stores:
    """The handlers of the routes; ``body`` is the JSON object that came."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def create(self, request: Request, body: Mapping[str, Any]) -> Response:
        """POST /v1/vector_stores."""
        given = fields.take(body, fields.NEW_STORE)
        store = Store(
            name=given.get("name", ""),
            description=given.get("description", ""),
            metadata=given.get("metadata", {}),
            days=given.get("expires_after"),
        )
        sizes = given.get("chunking_strategy", Chunking())
        entries = [
            Entry(
                store=store.id,
                file=file,
                filename=await self._shelf.filename(file),
                most=sizes.most,
                overlap=sizes.overlap,
            )
            for file in given.get("file_ids", ())
        ]
        if entries:
            await self._shelf.check_model(store)
        await self._shelf.ask(lambda library: library.catalogue.add_store(store))
        if entries:
            await self._shelf.add(entries)
        return await self._describe(store)

    async def list(self, request: Request) -> Response:
        """GET /v1/vector_stores."""
        query = request.query_params
        limit, newest_first = fields.listed(query)
        cursors = {}
        for name in ("after", "before"):
            if query.get(name):
                cursor = await self._shelf.store(query[name])
                cursors[name] = (cursor.created, cursor.id)
        page = Page(limit=limit + 1, newest_first=newest_first, **cursors)
        found = await self._shelf.ask(
            lambda library: [
                (each, library.catalogue.usage(store=each.id))
                for each in library.catalogue.stores(page)
            ]
        )
        pairs = fields.cut(found, page)
        data = [shapes.store(each, usage) for each, usage in pairs]
        return JSONResponse(listing.page(data, more=len(found) > limit))

    async def get(self, request: Request) -> Response:
        """GET /v1/vector_stores/{store}."""
        return await self._describe(await self._shelf.store(request.path_params["store"]))

    async def change(self, request: Request, body: Mapping[str, Any]) -> Response:
        """POST /v1/vector_stores/{store}."""
        store = await self._shelf.store(request.path_params["store"])
        changes = fields.take(body, fields.STORE)
        if "expires_after" in changes:
            changes["days"] = changes.pop("expires_after")
        if changes:
            await self._shelf.ask(
                lambda library: library.catalogue.change_store(store.id, **changes)
            )
        return await self._describe(await self._shelf.store(store.id))

    async def delete(self, request: Request) -> Response:
        """DELETE /v1/vector_stores/{store}."""
        store = await self._shelf.store(request.path_params["store"])
        await self._shelf.ask(lambda library: library.remove_store(store.id))
        return JSONResponse(shapes.deleted(store.id, "vector_store"))

    async def search(self, request: Request, body: Mapping[str, Any]) -> Response:
        """POST /v1/vector_stores/{store}/search."""
        given: dict[str, Any]
        given = {"max_num_results": 10, "ranking_options": 0.0, "filters": None}
        given |= fields.take(body, fields.SEARCH)
        questions = fields.needed(given, "query")
        store = await self._shelf.living(request.path_params["store"])
        hits = []
        if await self._shelf.ask(lambda library: library.catalogue.usage(store=store.id).bytes):
            found = await self._shelf.embed(questions, store)
            hits = await self._shelf.ask(
                lambda library: library.search(
                    store.id,
                    found.vectors,
                    given["filters"],
                    most=given["max_num_results"],
                    threshold=given["ranking_options"],
                )
            )
        await self._shelf.ask(lambda library: library.catalogue.touch(store.id))
        return JSONResponse(
            {
                "object": "vector_store.search_results.page",
                "search_query": questions,
                "data": [shapes.hit(entry, hit) for entry, hit in hits],
                "has_more": False,
                "next_page": None,
            }
        )

    async def _describe(self, store: Store) -> Response:
        usage = await self._shelf.ask(lambda library: library.catalogue.usage(store=store.id))
        return JSONResponse(shapes.store(store, usage))
