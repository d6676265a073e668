"""Keeps a guest running in the worker: one after another, until the worker ends."""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from .control import Ended, Event, Failed, Listening, WorkerConfig
from .vigil import COMPUTES, Vigil, thread_clock
from .voice import Voice

if TYPE_CHECKING:
    from llamaedge_host import Guest, Preopen

    from .loading import LoadingNetwork

_log = logging.getLogger(__name__)
_FIRST_DELAY = 0.1  # seconds before a guest is started again
_LONGEST_DELAY = 10.0
_STEADY = 10.0  # seconds of service after which the delay is the first again
_STUCK = 0.5  # seconds that a guest may take to stop
_MOST_STUCK = 4  # threads that were given up, after which the worker is
_LONGEST_MESSAGE = 1000  # characters


class Keeper:
    """Keeps the guest ``number`` running and tells of it; each run has a network of its own.

    ``dirs`` are the configuration's, ``nn`` is shared with other guests.
    """

    def __init__(
        self,
        number: int,
        config: WorkerConfig,
        dirs: "Sequence[Preopen]",
        nn: "LoadingNetwork",
        tell: Callable[[Event], None],
    ) -> None:
        self._number = number
        self._config = config
        self._dirs = dirs
        self._nn = nn
        self._tell = tell
        self._name = Path(config.guest).name
        self._runs = 0
        self._stuck = 0
        self._delay = _FIRST_DELAY
        self._run: _Run | None = None

    def start(self) -> None:
        """Run guests in a thread of their own. Raises RuntimeError if there can be none."""
        threading.Thread(target=self._keep, daemon=True).start()

    def look(self, seconds: float) -> None:
        """Stop the guest if it hangs, and give it up if it does not stop.

        To be called again and again; the last look was ``seconds`` ago.
        """
        run = self._run
        if run is None or run.vigil is None or run.guest is None or run.over:
            return
        if run.problem is None:
            run.problem = run.vigil.look(seconds)
            if run.problem is not None:
                run.guest.stop(run.problem)
            return
        run.stopping += seconds
        if run.stopping > _STUCK and run.end():
            self._give_up(run, run.guest.activity.call or "")

    def _give_up(self, run: "_Run", call: str) -> None:
        """Leave the run's thread alone, which no one can end, and start another one."""
        message = self._line(f"the guest {self._name} {run.problem}, and cannot be stopped")
        self._stuck += 1
        if call.startswith(COMPUTES) or self._stuck > _MOST_STUCK or not run.listening:
            self._tell(Failed(message))
            return
        for path in run.listening:
            self._tell(Ended(path, message, cut=True))
        try:
            self.start()
        except RuntimeError as error:
            self._tell(Failed(self._line(f"{message}: {error}")))

    def _keep(self) -> None:
        while True:
            started = time.monotonic()
            self._runs += 1
            path = Path(self._config.folder, f"{self._number}.{self._runs}")
            run = self._run = _Run()
            message, code = self._serve(run, path)
            if not run.end():
                return
            if not run.listening:
                message = self._nn.problem or message
            if not run.listening and self._runs == 1:
                self._tell(Failed(self._line(message), code))
                return
            if not run.listening:
                self._tell(Ended(None, self._line(f"{message} before it listened")))
            for each in run.listening:
                self._tell(Ended(each, self._line(message)))
            shutil.rmtree(path, ignore_errors=True)
            if time.monotonic() - started > _STEADY:
                self._delay = _FIRST_DELAY
            time.sleep(self._delay)
            self._delay = min(2 * self._delay, _LONGEST_DELAY)

    def _serve(self, run: "_Run", folder: Path) -> tuple[str, int]:
        """One guest from start to end: how it ended, and the exit code that this means."""
        from llamaedge_host import Guest, GuestTrap, HostError, PrivateNetwork

        def on_listen(path: Path) -> None:
            run.listening.append(str(path))
            self._tell(Listening(str(path)))

        config, name = self._config, self._name
        voice = Voice(name if config.instances == 1 else f"{name} {self._number + 1}")

        def on_request(start: bytes) -> None:
            voice.serve()
            if self._nn.limits is not None:
                self._nn.limits.take(start)

        try:
            folder.mkdir(mode=0o700)
            with (
                closing(voice),
                Guest(
                    config.guest,
                    args=config.args,
                    env=config.env,
                    dirs=self._dirs,
                    network=PrivateNetwork(folder, on_listen, on_request),
                    nn=self._nn,
                    stdout=voice.stdout,
                    stderr=voice.stderr,
                ) as guest,
            ):
                run.begin(guest, self._nn.statistics, limit=config.hang_timeout)
                code = guest.run()
        except GuestTrap as error:
            return f"the guest {name} trapped: {error}", 1
        except HostError as error:
            return f"the guest {name} {run.problem}" if run.problem else str(error), 1
        except (OSError, MemoryError) as error:
            return f"the guest {name} cannot run: {error or 'no memory is left'}", 1
        except Exception:
            _log.exception("a fault in the host ended the guest %s", name)
            return f"a fault in the host ended the guest {name}", 1
        return f"the guest {name} ended with exit code {code}", 2 if code == 2 else 1

    @staticmethod
    def _line(message: str) -> str:
        return " ".join(message.split())[:_LONGEST_MESSAGE]


class _Run:
    """One guest; ``problem`` says how it hangs, ``stopping`` for how many seconds it is stopped."""

    def __init__(self) -> None:
        self.listening: list[str] = []
        self.guest: Guest | None = None
        self.vigil: Vigil | None = None
        self.problem: str | None = None
        self.stopping = 0.0
        self.over = False
        self._ending = threading.Lock()

    def begin(self, guest: "Guest", steps: Callable[[], object], *, limit: float) -> None:
        """The calling thread is about to run ``guest``, which may hang for ``limit`` seconds."""
        self.guest = guest
        self.vigil = Vigil(lambda: guest.activity, thread_clock(), steps, limit=limit)

    def end(self) -> bool:
        """Whether the caller is the first that says it has ended."""
        with self._ending:
            first = not self.over
            self.over = True
            return first
