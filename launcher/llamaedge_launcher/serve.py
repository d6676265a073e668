"""The front process: the public server, with a supervised worker behind it."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn

from .address import Address
from .pool import Pool
from .proxy.app import create_app
from .proxy.transport import PoolTransport
from .settings import Settings
from .supervisor import Supervisor, WorkerProcess

_GRACE = 1  # seconds for answers that are under way when the server is told to stop


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Expected(logging.Filter):
    """Drops what uvicorn logs of answers that were cut off on purpose."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError):
            return False
        return not text.startswith(("ASGI callable returned without completing", "Cancel "))


def serve(
    listener: socket.socket,
    worker: WorkerProcess,
    start: Callable[[], WorkerProcess],
    settings: Settings,
    *,
    limit: int,
    known_only: bool,
    on_ready: Callable[[], None],
) -> int:
    """Serve on ``listener`` until SIGINT or SIGTERM; the exit code for that.

    ``worker`` is the first worker, ``start`` starts a later one, ``limit`` is the number of
    requests that a guest answers at once. Raises LauncherError if the first worker fails.
    """
    logging.getLogger("uvicorn.error").addFilter(_Expected())
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    pool = Pool(limit=limit)
    supervisor = Supervisor(worker, start, pool, on_ready)
    config = uvicorn.Config(
        create_app(
            PoolTransport(pool),
            supervisor.health,
            settings,
            known_only=known_only,
            local=Address(*listener.getsockname()[:2]).is_loopback,
        ),
        http="httptools",
        ws="none",
        loop="auto",
        lifespan="off",
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE,
    )
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        return runner.run(_serve(_Server(config), listener, supervisor))


async def _serve(server: _Server, listener: socket.socket, supervisor: Supervisor) -> int:
    stopped: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 0)):
        asyncio.get_running_loop().add_signal_handler(number, _set, stopped, code)
    serving = asyncio.create_task(server.serve([listener]))
    supervising = asyncio.create_task(supervisor.run())
    try:
        await asyncio.wait((stopped, serving, supervising), return_when=asyncio.FIRST_COMPLETED)
    finally:
        server.should_exit = True
        supervising.cancel()
        await asyncio.wait((serving, supervising))
    if not supervising.cancelled():
        supervising.result()
    serving.result()
    return stopped.result() if stopped.done() else 1


def _set(future: "asyncio.Future[int]", value: int) -> None:
    if not future.done():
        future.set_result(value)
