"""The endpoints that guests answer."""

from collections.abc import Container

from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ..fleet.managed import Managed
from ..settings import Settings
from .dialects.bridge import Bridge
from .dialects.llama_cpp import CountByAnswering
from .forward import Forward
from .guest_api import COUNT_TOKENS, DESCRIBED, ENDPOINTS
from .official import Official
from .remote.pictures import Pictures
from .routing import Methods, routes_of
from .transport import Transport

_EVERYTHING = "/{path:path}"
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Guests:
    """The applications that let guests answer, by way of ``transport``.

    ``endpoints`` are those of OpenAI's API and LlamaEdge's, by path.
    """

    def __init__(self, transport: Transport, fleet: Managed, settings: Settings) -> None:
        self._transport = transport
        self._fleet = fleet
        self._settings = settings
        pictures = Pictures(settings.image_urls, settings.media_path)
        self.endpoints: dict[str, ASGIApp] = {
            each.path: self._corrected(
                Forward(
                    transport,
                    requires=each.requires,
                    computes=each.computes,
                    kind=each.kind,
                    pictures=pictures if each.requires == "messages" else None,
                )
            )
            for each in ENDPOINTS
        }
        if settings.official:
            self.endpoints[COUNT_TOKENS] = Bridge(CountByAnswering(), self.endpoints)

    def speech(self) -> ASGIApp:
        """Reads texts out."""
        return Forward(self._transport, requires="input", computes=True, kind="chat")

    def routes(self) -> list[Route]:
        """Those of ``endpoints``."""
        apps = {
            each.path: dict.fromkeys(each.methods, self.endpoints[each.path]) for each in ENDPOINTS
        }
        return routes_of(apps, DESCRIBED)

    def everything(self) -> Route:
        """Every other path, which a guest may serve too."""
        rest = self._corrected(Forward(self._transport, requires=None, computes=True))
        return Route(_EVERYTHING, Methods(_EVERYTHING, dict.fromkeys(_METHODS, _Contained(rest))))

    def _corrected(self, guest: Forward) -> ASGIApp:
        """``guest``, with what one of LlamaEdge's own does wrong made right."""
        if not self._settings.official:
            return guest
        return Official(guest, known=self._names if self._settings.strict_model else None)

    async def _names(self) -> Container[str]:
        return {name for each in await self._fleet.models() for name in each.names}


class _Contained:
    """Refuses paths that climb, which a guest's static files might follow."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if ".." in scope["path"].replace("\\", "/").split("/"):
            raise HTTPException(404)
        await self._app(scope, receive, send)
