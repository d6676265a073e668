"""The front process: the public server, with supervised workers behind it."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from typing import Any, cast

import uvicorn

from . import log
from .address import Address
from .control import Sized
from .fleet.fleet import Fleet
from .proxy.app import create_app
from .proxy.connection import KEEP_ALIVE, Bounds, Connection
from .proxy.handshake import UVICORN
from .proxy.titled import Titled
from .proxy.transport import FleetTransport
from .settings import Settings

_log = logging.getLogger(__name__)

_GRACE = 0.5  # seconds for the last words of answers that are cut off
_CUT = ("ASGI callable returned without completing", "Cancel ", "Invalid UTF-8 sequence")
_FINISHING = "; %d under way may take %g s more, a second signal ends them at once"


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Expected(logging.Filter):
    """Drops what uvicorn logs of answers that were cut off on purpose, and of clients' faults."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError):
            return False
        return not text.startswith(_CUT)


def serve(
    listeners: Sequence[socket.socket],
    fleet: Fleet,
    settings: Settings,
    *,
    known_only: bool,
    on_ready: Callable[[], None],
    on_sized: Callable[[Sized], None] | None = None,
) -> int:
    """Serve ``fleet`` on ``listeners`` until SIGINT or SIGTERM; the exit code for that.

    The first signal lets what is under way finish, the second does not.
    Raises LauncherError if a model's first worker fails.
    """
    log.never_wait()
    logging.getLogger("uvicorn.error").addFilter(_Expected())
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    tls = settings.tls
    bounds = Bounds(settings.max_connections)
    app = create_app(
        FleetTransport(fleet, timeout=settings.request_timeout),
        fleet,
        settings,
        known_only=known_only,
        local=all(Address(*each.getsockname()[:2]).is_loopback for each in listeners),
    )

    def begin() -> None:
        on_ready()
        app.state.shelf.begin()

    config = uvicorn.Config(
        Titled(app),
        http=cast(type[Connection], partial(Connection, bounds=bounds)),
        loop="auto",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.forwarded),
        forwarded_allow_ips=settings.forwarded,
        timeout_keep_alive=KEEP_ALIVE,
        ssl_context_factory=None if tls is None else lambda config, default: tls.context(),
        ws_max_size=settings.max_body_size,
        **UVICORN,
    )
    with (
        contextlib.closing(app.state.records),
        asyncio.Runner(loop_factory=config.get_loop_factory()) as runner,
    ):
        running = fleet.run(begin, on_sized)
        return runner.run(_serve(_Server(config), listeners, running, settings.drain_timeout))


async def _serve(
    server: _Server,
    listeners: Sequence[socket.socket],
    running: Coroutine[Any, Any, None],
    drain: float,
) -> int:
    """Until a signal; then no new requests, and ``drain`` seconds for those under way."""
    signals = _Signals()
    serving = asyncio.create_task(server.serve([*listeners]))
    supervising = asyncio.create_task(running)
    try:
        await _first(signals.first, serving, supervising)
        server.should_exit = True
        if signals.first.done():
            requests = len(server.server_state.tasks)
            _log.info("stopping%s", _FINISHING % (requests, drain) if requests else "")
            await _first(signals.second, serving, supervising, timeout=drain)
    finally:
        server.should_exit = True
        supervising.cancel()
        await asyncio.wait((supervising,))
        await asyncio.wait((serving,), timeout=_GRACE)
        server.force_exit = True
        await asyncio.wait((serving,))
    if not supervising.cancelled():
        supervising.result()
    serving.result()
    return signals.first.result() if signals.first.done() else 1


async def _first(*awaited: "asyncio.Future[Any]", timeout: float | None = None) -> None:
    await asyncio.wait(awaited, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)


class _Signals:
    """The exit codes that the first two signals to end mean."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.first: asyncio.Future[int] = loop.create_future()
        self.second: asyncio.Future[int] = loop.create_future()
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 0)):
            loop.add_signal_handler(number, self._take, code)

    def _take(self, code: int) -> None:
        for each in (self.first, self.second):
            if not each.done():
                each.set_result(code)
                return
