"""The paths of Ollama's API."""

from collections.abc import Mapping

from starlette.routing import Route, request_response
from starlette.types import ASGIApp

from ...manage import ManagedModels
from ...routing import routes_of
from ..bridge import Bridge, Dialect, Json, json_or_form
from ..inside import ask
from .description import DESCRIBED
from .endpoints import Chat, Embed, Embeddings, Generate
from .models import Copy, Delete, OllamaModels, Pull, Show, find

_INFO = "/v1/info"


def routes(endpoints: Mapping[str, ASGIApp], managed: ManagedModels) -> list[Route]:
    """Answer by OpenAI's ``endpoints`` and those of models that come from a hub."""

    async def context() -> int | None:
        info: Json = await ask(endpoints[_INFO], _INFO)
        size = (info.get("chat_model") or {}).get("ctx_size")
        return size if isinstance(size, int) and size > 0 else None

    async def unload(name: str) -> None:
        model = find(await managed.told(), name)
        await managed.unload(model["name"])

    listed = OllamaModels(managed.identified)
    gets: dict[str, ASGIApp] = {
        "/api/tags": request_response(listed.tags),
        "/api/ps": request_response(listed.ps),
        "/api/version": request_response(listed.version),
    }
    posts: dict[str, Dialect] = {
        "/api/chat": Chat(context, unload),
        "/api/generate": Generate(context, unload),
        "/api/embed": Embed(),
        "/api/embeddings": Embeddings(),
        "/api/show": Show(managed.told),
        "/api/copy": Copy(managed.told),
        "/api/pull": Pull(),
    }
    apps: dict[str, dict[str, ASGIApp]] = {
        **{path: {"GET": app} for path, app in gets.items()},
        **{path: {"POST": Bridge(each, endpoints, json_or_form)} for path, each in posts.items()},
        "/api/delete": {"DELETE": Bridge(Delete(), endpoints, json_or_form)},
    }
    return routes_of(apps, DESCRIBED)
