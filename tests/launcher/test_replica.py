"""A public server that is one of several: whose numbers it tells, and what it does not let in."""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from llamaedge_launcher.fleet.errors import NotManaged
from llamaedge_launcher.fleet.managed import Shown
from llamaedge_launcher.fleet.recipe import Model
from llamaedge_launcher.health import Figures, Health, Source
from llamaedge_launcher.proxy.app import create_app
from llamaedge_launcher.proxy.transport import PoolTransport
from llamaedge_launcher.settings import Settings


class Elsewhere:
    """Models that two replicas of a server have, which requests do not manage."""

    members: Sequence[Shown] = ()

    async def models(self) -> list[Model]:
        return [Model("m", "m", "chat", Path("m.gguf"))]

    async def here(self) -> list[Model]:
        return []

    def health(self) -> Health:
        return Health("ready", 2)

    async def figures(self) -> dict[Source, Figures]:
        done = {"prompt_tokens_evaluated": 7}
        engines = {"m.gguf": {**_nothing(), **done}}
        return {
            Source("m", "one"): Figures(1, 0, 1, 0, 0, engines),
            Source("m", "two"): Figures(3, 0, 1, 2, 0, engines),
        }

    def manage(self) -> None:
        raise NotManaged("the models are those of the application")

    async def load(self, name: str) -> Shown:
        self.manage()
        raise AssertionError

    async def unload(self, name: str) -> Shown:
        self.manage()
        raise AssertionError

    def using(self, files: Iterable[Path]) -> bool:
        raise AssertionError


def _nothing() -> dict[str, Any]:
    from llamaedge_host.ggml.engine.counters import Counters

    return Counters().as_dict()


def ask(folder: Path, method: str, path: str, **more: Any) -> httpx.Response:
    app = create_app(
        PoolTransport.__new__(PoolTransport),  # type: ignore[arg-type]
        Elsewhere(),
        Settings(data_dir=folder),
        known_only=True,
        local=False,
        replica="front",
    )

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            await client.get("/health")
            return await client.request(method, path, **more)

    return asyncio.run(asked())


def test_numbers_tell_their_replica(tmp_path: Path) -> None:
    lines = ask(tmp_path, "GET", "/metrics").text.splitlines()
    for expected in (
        'llamaedge_requests_processing{model="m",replica="one"} 1.0',
        'llamaedge_requests_processing{model="m",replica="two"} 3.0',
        "llamacpp:requests_processing 4",
        'llamaedge_guest_restarts_total{model="m",replica="two"} 2.0',
        'llamaedge_prompt_tokens_total{engine="m.gguf",model="m",replica="one"} 7.0',
        'llamaedge_requests_total{method="GET",replica="front",route="/health",status="200"} 1.0',
        'llamaedge_request_seconds_count{replica="front",route="/health"} 1.0',
    ):
        assert expected in lines


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/models/load"),
        ("POST", "/api/models/unload"),
        ("POST", "/api/models/pull"),
        ("POST", "/api/pull"),
        ("DELETE", "/api/models/acme/m"),
        ("DELETE", "/api/delete"),
    ],
)
def test_models_that_are_not_managed_here_are_left_alone(
    tmp_path: Path, method: str, path: str
) -> None:
    response = ask(tmp_path, method, path, json={"model": "acme/m"})
    assert response.status_code == 403
    assert "the models are those of the application" in response.text
