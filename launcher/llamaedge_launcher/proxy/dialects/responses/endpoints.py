"""/v1/responses and what is below it: made, kept, paged and deleted."""

from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ... import listing
from ...errors import ApiError
from ...storing import storing
from ..bridge import CHAT, COUNT_TOKENS, NOTHING_DROPPED, Json, Translated
from . import output
from .events import Events
from .items import as_messages
from .request import Wanted, counted, read
from .store import Kept, Store

MOST, _FEW = 100, 20  # items of a page


class Responses:
    """The handlers of responses that are kept in ``store``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, request: Request) -> Response:
        """GET /v1/responses/{id}."""
        if request.query_params.get("stream", "false") != "false":
            message = "a response that is kept is not streamed again; ask without stream"
            raise ApiError(400, f"stream: {message}", code="invalid_value", param="stream")
        return JSONResponse((await self._kept(request)).response)

    async def delete(self, request: Request) -> Response:
        """DELETE /v1/responses/{id}."""
        id_ = request.path_params["id"]
        with storing("responses"):
            deleted = await run_in_threadpool(self._store.delete, id_)
        if not deleted:
            raise _missing(id_)
        return JSONResponse({"id": id_, "object": "response", "deleted": True})

    async def items(self, request: Request) -> Response:
        """GET /v1/responses/{id}/input_items."""
        items = (await self._kept(request)).items
        named = [
            {"id": f"item_{index}", "status": "completed"} | each
            for index, each in enumerate(items)
        ]
        return JSONResponse(_page(named, request.query_params))

    async def cancel(self, request: Request) -> Response:
        """POST /v1/responses/{id}/cancel, which is refused: nothing is made in the background."""
        await self._kept(request)
        message = "only what is made in the background can be cancelled; close the connection"
        raise ApiError(400, message, code="not_in_background")

    async def _kept(self, request: Request) -> Kept:
        id_ = request.path_params["id"]
        with storing("responses"):
            kept = await run_in_threadpool(self._store.get, id_)
        if kept is None:
            raise _missing(id_)
        return kept


class Create:
    """POST /v1/responses, as a chat."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(self, request: Json) -> Translated:
        """As a chat completion, whose answer is kept if the request says so."""
        wanted = read(request)
        chat = await run_in_threadpool(_chat, wanted, self._store)

        def keep(response: Json) -> None:
            if wanted.store:
                with storing("responses"):
                    self._store.put(Kept(response, wanted.items))

        def answer(found: Json) -> Json:
            choice = found["choices"][0]
            begun = output.begun(wanted, found["model"])
            items = output.items(choice, wanted)
            whole = output.ended(begun, items, choice["finish_reason"], found.get("usage"))
            keep(whole)
            return whole

        stream = Events(wanted, keep) if wanted.stream else None
        headers = () if wanted.truncates else (NOTHING_DROPPED,)
        return Translated(CHAT, chat, stream, answer, headers=headers, unknown=wanted.unknown)

    def error(self, status: int, error: Json) -> Json:
        """OpenAI's error object."""
        return {"error": error}


class Count:
    """POST /v1/responses/input_tokens."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(self, request: Json) -> Translated:
        """As a question for the tokens of a chat."""
        wanted = read(counted(request))
        chat = await run_in_threadpool(_chat, wanted, self._store)
        return Translated(COUNT_TOKENS, chat, None, _tokens, unknown=wanted.unknown)

    def error(self, status: int, error: Json) -> Json:
        """OpenAI's error object."""
        return {"error": error}


def _tokens(answer: Json) -> Json:
    return {"object": "response.input_tokens", "input_tokens": answer["input_tokens"]}


def _chat(wanted: Wanted, store: Store) -> Json:
    """The chat completion that makes the response, with the whole conversation."""
    before: list[Json] = []
    if wanted.previous is not None:
        with storing("responses"):
            found = store.conversation(wanted.previous)
        if found is None:
            message = f"previous_response_id: {wanted.previous} is not kept, or not all before it"
            code = "previous_response_not_found"
            raise ApiError(400, message, code=code, param="previous_response_id")
        before = found
    items = [_resolved(each, store) for each in wanted.items]
    messages = as_messages([*before, *items])
    if wanted.instructions is not None:
        messages.insert(0, {"role": "system", "content": wanted.instructions})
    return {**wanted.chat, "messages": messages}


def _resolved(item: Json, store: Store) -> Json:
    """``item``, or the one that it refers to."""
    if item.get("type") != "item_reference":
        return item
    with storing("responses"):
        found = store.item(str(item.get("id")))
    if found is None:
        message = f"input: the item {item.get('id')!r} is not kept"
        raise ApiError(400, message, code="item_not_found", param="input")
    return found


def _missing(id_: str) -> ApiError:
    return ApiError(404, f"there is no response {id_!r}", code="response_not_found")


def _page(items: list[Json], query: Mapping[str, str]) -> Json:
    limit = listing.limit_of(query, most=MOST, otherwise=_FEW)
    if listing.newest_first(query):
        items = items[::-1]
    after = query.get("after")
    if after is not None:
        places = [index for index, each in enumerate(items) if each["id"] == after]
        if not places:
            message = f"after: there is no item {after!r}"
            raise ApiError(404, message, code="item_not_found", param="after")
        items = items[places[0] + 1 :]
    return listing.page(items[:limit], more=limit < len(items))
