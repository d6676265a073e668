"""The worker process: the models, and the guests on private networks.

``python -m llamaedge_launcher.worker`` with the front's socket as standard input.
"""

import logging
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from . import log
from .control import (
    ALIVE,
    LAST_WORDS,
    STATISTICS,
    Alive,
    Answered,
    Event,
    Failed,
    Question,
    Statistics,
    WorkerConfig,
    encode_event,
)
from .importing import uncollected
from .keeper import Keeper

if TYPE_CHECKING:
    from llamaedge_host.ggml.llama.adapters import AdapterFile

    from .loading import LoadingNetwork

_log = logging.getLogger(__name__)
_LOOK = 0.25  # seconds between two looks at the guests


def main() -> None:
    """Serve until the front ends."""
    front = _take_stdin()
    lines = front.makefile("rb")
    importing = threading.Thread(target=_import, daemon=True)
    with suppress(RuntimeError):  # no further threads, which is told below
        importing.start()
    line = lines.readline()
    if not line:
        os._exit(0)
    config = WorkerConfig.decode(line)
    log.configure(config.log_level, config.log_format)
    log.never_wait()
    worker = Worker(config, front)
    following = threading.Thread(
        target=_follow_front, args=(lines, worker, config.folder), daemon=True
    )
    try:
        following.start()
        threading.Thread(target=worker.watch, daemon=True).start()
    except RuntimeError as error:
        front.sendall(encode_event(Failed(f"the worker cannot run: {error}")))
        sys.exit(1)
    if importing.is_alive():
        importing.join()
    worker.run()


def _import() -> None:
    """Import what every worker needs, while the front may still be reading its command line."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # they spin, and numpy has no work for them
    with uncollected(), suppress(ImportError):  # which run() meets
        from llamaedge_host import Guest  # noqa: F401

        from . import answers, loading, sizing  # noqa: F401


def _take_stdin() -> socket.socket:
    """The socket that standard input is; standard input is empty from then on."""
    front = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return front


def _follow_front(lines: BinaryIO, worker: "Worker", folder: str) -> None:
    """Answer the front until its end, then end at once, whatever the guests are doing.

    What is to be kept is written before that.

    Nothing is written from then on: guests that lose their folder have nothing to say.
    """
    with suppress(OSError):
        for line in lines:
            if line == STATISTICS:
                worker.tell_statistics()
            else:
                worker.answer(Question.decode(line))
    worker.keep()
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


class Worker:
    """Checks the models and keeps ``config.instances`` guests running."""

    def __init__(self, config: WorkerConfig, front: socket.socket) -> None:
        self._config = config
        self._front = front
        self._sending = threading.Lock()
        self._statistics: Callable[[], dict[str, dict[str, object]]] = dict
        self._answers: Callable[[Question], Answered] = not_yet
        self._keep: Callable[[], None] = _nothing
        self._keepers: list[Keeper] = []

    def tell_statistics(self) -> None:
        """Report what each engine has done."""
        try:
            self._tell(Statistics(self._statistics()))
        except Exception:
            _log.exception("the statistics cannot be told")

    def keep(self) -> None:
        """Write what rests in KV caches to files, if there are to be any, in LAST_WORDS seconds."""
        if self._config.cache_dir:
            keeping = threading.Thread(target=self._keep, daemon=True)
            keeping.start()
            keeping.join(LAST_WORDS)

    def answer(self, question: Question) -> None:
        """Answer in a thread, as some answers are computed."""

        def work() -> None:
            self._tell(self._answers(question))

        threading.Thread(target=work, daemon=True).start()

    def run(self) -> None:
        """Serve; never returns. Guests start when the models are checked, and fit."""
        from llamaedge_host import HostError, Preopen

        from .answers import Answers
        from .sizing import suited

        config = self._config
        try:
            dirs = [Preopen.parse(text) for text in config.dirs]
            nn = _network(config)
            self._keep = nn.keep
            self._statistics = nn.statistics
            self._answers = Answers(nn)
            nn.preload_all()
            nn.begin_rendering()
            args, sized = suited(config.args, Path(config.guest), nn, sharing=config.sharing)
            if sized.models:
                self._tell(sized)
            told = replace(config, args=args)
            for number in range(config.instances):
                keeper = Keeper(number, told, dirs, nn, self._tell)
                keeper.start()
                self._keepers.append(keeper)
        except (HostError, RuntimeError, MemoryError) as error:
            self._tell(Failed(" ".join(str(error).split()) or "no memory is left"))
        threading.Event().wait()

    def watch(self) -> None:
        """Tell the front that this process is alive, and look after the guests; never returns."""
        told = last = time.monotonic()
        self._tell(Alive())
        while True:
            time.sleep(_LOOK)
            now = time.monotonic()
            for keeper in self._keepers:
                keeper.look(min(now - last, 2 * _LOOK))  # this process may have been stopped
            last = now
            if now - told >= ALIVE:
                told = now
                self._tell(Alive())

    def _tell(self, event: Event) -> None:
        with self._sending:
            try:
                self._front.sendall(encode_event(event))
            except OSError:
                _log.debug("the front has gone")


def _network(config: WorkerConfig) -> "LoadingNetwork":
    """The models. Raises HostError."""
    from llamaedge_host import Preload
    from llamaedge_host.ggml.keeping import Keeping

    from .limits import Limits
    from .loading import LoadingNetwork

    folder = Path(config.cache_dir) if config.cache_dir else None
    return LoadingNetwork(
        [Preload.parse(text) for text in config.preloads],
        parallel=config.parallel,
        limits=Limits() if config.limited else None,
        rpc=config.rpc,
        keeping=Keeping(config.cache_ram, folder, config.cache_disk),
        adapters=[_adapter(text) for text in config.adapters],
    )


def _adapter(text: str) -> "AdapterFile":
    from llamaedge_host.ggml.llama.adapters import AdapterFile

    scale, _, path = text.partition(":")
    return AdapterFile(Path(path), float(scale))


def _nothing() -> None:
    """There are no models yet."""


def not_yet(question: Question) -> Answered:
    """The answer before there are models."""
    return Answered(question.number, problem="the models are being loaded")


if __name__ == "__main__":
    main()
