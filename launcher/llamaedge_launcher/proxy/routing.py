"""Routes of the public server: what answers each method of a path, and what is said of it."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .describe import Described, Operation

_NOT_DESCRIBED: Mapping[str, Operation] = MappingProxyType({})


class Methods:
    """The application of each method of ``path``, which answers OPTIONS and other methods itself.

    ``operations`` describe them, by method.
    """

    def __init__(
        self,
        path: str,
        apps: Mapping[str, ASGIApp],
        operations: Mapping[str, Operation] = _NOT_DESCRIBED,
    ) -> None:
        self._path = path
        self._apps = dict(apps)
        if "GET" in apps:
            self._apps["HEAD"] = apps["GET"]
        self.methods = tuple(apps)
        self.operations = operations
        self._allow = {"Allow": ", ".join(sorted({*self._apps, "OPTIONS"}))}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises HTTPException 405."""
        method = scope["method"]
        scope["record"].route = self._path
        if method == "OPTIONS":
            await Response(None, 204, self._allow)(scope, receive, send)
        elif method not in self._apps:
            raise HTTPException(405, headers=self._allow)
        else:
            await self._apps[method](scope, receive, send)


def routes_of(apps: Mapping[str, Mapping[str, ASGIApp]], described: Described) -> list[Route]:
    """A route for each path, with its application for each method.

    ``described`` has the operation of every path and method: KeyError tells of one that it has not.
    """
    return [
        Route(path, Methods(path, each, {method: described[path, method] for method in each}))
        for path, each in apps.items()
    ]


def operations(routes: Iterable[BaseRoute]) -> Iterator[tuple[str, str, Operation]]:
    """The path, the method and the description of what ``routes`` answer over HTTP."""
    for route in routes:
        if isinstance(route, Route) and isinstance(route.app, Methods):
            for method, described in route.app.operations.items():
                yield route.path, method, described
