"""The worker process: the models, and the guests on private networks.

``python -m llamaedge_launcher.worker`` with the front's socket as standard input.
"""

import logging
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from . import log
from .control import (
    STATISTICS,
    Ended,
    Event,
    Failed,
    Listening,
    Statistics,
    WorkerConfig,
    encode_event,
)

_log = logging.getLogger(__name__)
_FIRST_DELAY = 0.1  # seconds before a guest is started again
_LONGEST_DELAY = 10.0
_LONGEST_MESSAGE = 1000  # characters
_STEADY = 10.0  # seconds of service after which the delay is the first again


def main() -> None:
    """Serve until the front ends."""
    front = _take_stdin()
    lines = front.makefile("rb")
    line = lines.readline()
    if not line:
        return
    config = WorkerConfig.decode(line)
    log.configure(config.log_level, config.log_format)
    worker = Worker(config, front)
    threading.Thread(target=_follow_front, args=(lines, worker, config.folder), daemon=True).start()
    worker.run()


def _take_stdin() -> socket.socket:
    """The socket that standard input is; standard input is empty from then on."""
    front = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return front


def _follow_front(lines: BinaryIO, worker: "Worker", folder: str) -> None:
    """Answer the front until its end, then end at once, whatever the guests are doing.

    Nothing is written from then on: guests that lose their folder have nothing to say.
    """
    with suppress(OSError):
        for line in lines:
            if line == STATISTICS:
                worker.tell_statistics()
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

    def tell_statistics(self) -> None:
        """Report what each engine has done."""
        try:
            self._tell(Statistics(self._statistics()))
        except Exception:
            _log.exception("the statistics cannot be told")

    def run(self) -> None:
        """Serve; never returns. Guests start while the models are checked, and wait for that."""
        from llamaedge_host import HostError, Preload, Preopen

        from .loading import LoadingNetwork

        config = self._config
        try:
            preloads = [Preload.parse(text) for text in config.preloads]
            self._dirs = [Preopen.parse(text) for text in config.dirs]
            self._nn = LoadingNetwork(preloads, parallel=config.parallel)
            self._statistics = self._nn.statistics
            for number in range(config.instances):
                threading.Thread(target=self._keep, args=(number,), daemon=True).start()
            self._nn.preload_all()
        except HostError as error:
            self._tell(Failed(_line(str(error))))
        threading.Event().wait()

    def _keep(self, number: int) -> None:
        """Run one guest after another; each has a network of its own."""
        delay = _FIRST_DELAY
        run = 0
        while True:
            started = time.monotonic()
            run += 1
            path = Path(self._config.folder, f"{number}.{run}")
            listening: list[str] = []
            message, code = self._run_guest(path, listening)
            if not listening:
                message = self._nn.problem or message
            if not listening and run == 1:
                self._tell(Failed(_line(message), code))
                return
            if not listening:
                self._tell(Ended(None, _line(f"{message} before it listened")))
            for each in listening:
                self._tell(Ended(each, _line(message)))
            shutil.rmtree(path, ignore_errors=True)
            if time.monotonic() - started > _STEADY:
                delay = _FIRST_DELAY
            time.sleep(delay)
            delay = min(2 * delay, _LONGEST_DELAY)

    def _run_guest(self, folder: Path, listening: list[str]) -> tuple[str, int]:
        """One guest from start to end: how it ended, and the exit code that this means."""
        from llamaedge_host import Guest, GuestTrap, HostError, PrivateNetwork

        def on_listen(path: Path) -> None:
            listening.append(str(path))
            self._tell(Listening(str(path)))

        config = self._config
        name = Path(config.guest).name
        try:
            folder.mkdir(mode=0o700)
            with (
                _output(name) as (out, err),
                Guest(
                    config.guest,
                    args=config.args,
                    env=config.env,
                    dirs=self._dirs,
                    network=PrivateNetwork(folder, on_listen),
                    nn=self._nn,
                    stdout=out,
                    stderr=err,
                ) as guest,
            ):
                code = guest.run()
        except GuestTrap as error:
            return f"the guest {name} trapped: {error}", 1
        except HostError as error:
            return str(error), 1
        except OSError as error:
            return f"the guest {name} cannot run: {error}", 1
        except Exception:
            _log.exception("a fault in the host ended the guest %s", name)
            return f"a fault in the host ended the guest {name}", 1
        return f"the guest {name} ended with exit code {code}", 2 if code == 2 else 1

    def _tell(self, event: Event) -> None:
        with self._sending:
            try:
                self._front.sendall(encode_event(event))
            except OSError:
                _log.debug("the front has gone")


@contextmanager
def _output(name: str) -> Iterator[tuple[log.Lines | None, log.Lines | None]]:
    """Where a guest's stdout and stderr go: into the log where that is JSON; None is as ours."""
    if not log.is_json():
        yield None, None
        return
    with closing(log.Lines(f"{name}.stdout")) as out, closing(log.Lines(f"{name}.stderr")) as err:
        yield out, err


def _line(message: str) -> str:
    return " ".join(message.split())[:_LONGEST_MESSAGE]


if __name__ == "__main__":
    main()
