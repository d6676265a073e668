"""A front: the public server, as the ingress of the application."""

import asyncio
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.applications import Starlette

from ..errors import LauncherError
from ..proxy.app import create_app
from . import options
from .cluster import Cluster, Part


class Front:
    """The same application as that of ``llamaedge run``, before replicas.

    ``given`` are options of ``llamaedge run``; ``servers`` are the deployments, by their titles,
    each with whether it has several models. Raises LauncherError on a second machine, unless what
    fronts keep is in stores that several machines have, and where it cannot be kept.
    """

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, given: dict[str, Any], servers: dict[str, tuple[DeploymentHandle, bool]]
    ) -> None:
        replica = serve.get_replica_context()
        settings, known_only = await asyncio.to_thread(options.for_fronts, given)
        elsewhere = replica.rank is not None and replica.rank.node_rank > 0
        if elsewhere and not settings.places.are_shared:
            raise LauncherError(
                "another front runs on another machine, and what fronts keep is in a folder of one"
                " machine: set store-files and store-records, or give the fronts a resource that"
                " one machine has"
            )
        await asyncio.to_thread(settings.places.check)
        parts = [Part(title, handle, several) for title, (handle, several) in servers.items()]
        self._cluster = Cluster(parts, timeout=settings.request_timeout)
        self._app = create_app(
            self._cluster,
            self._cluster,
            settings,
            known_only=known_only,
            local=False,
            replica=replica.replica_tag,
        )
        self._learning = asyncio.create_task(self._learn())

    async def _learn(self) -> None:
        await self._cluster.learn()
        self._app.state.shelf.begin()

    def __serve_build_asgi_app__(self) -> Starlette:
        """Serve's call for what answers requests."""
        return self._app

    async def check_health(self) -> None:
        """Serve's call: raise if the front has to be replaced."""
        if self._learning.done():
            self._learning.result()

    async def __del__(self) -> None:
        """Serve's call at the end."""
        learning = getattr(self, "_learning", None)
        if learning is not None:
            learning.cancel()
            await asyncio.to_thread(self._app.state.records.close)
