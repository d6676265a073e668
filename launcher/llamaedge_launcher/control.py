"""What the front process and a worker tell each other.

They share one Unix socket, the worker's standard input. The front writes the configuration,
one line of JSON, and keeps its end open for as long as it lives; the line STATISTICS asks for
numbers, and a line of JSON is a question. The worker writes events, one line of JSON each. The end
of the socket tells each of the other's end.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from llamaedge_host.ggml.keeping import DISK

from . import log

STATISTICS = b"statistics\n"
ALIVE = 1.0
"""Seconds between two events by which a worker shows that it is alive."""
HANG_TIMEOUT = 30
"""Seconds after which a guest that hangs is replaced, unless told."""
LAST_WORDS = 10.0
"""Seconds that a worker may take at its end to write what is kept of KV caches."""
LONGEST_LINE = 4 * 1024 * 1024  # bytes of an event


@dataclass(frozen=True)
class WorkerConfig:
    """What a worker runs.

    ``folder`` is its private folder, ``guest`` the module's path, ``args`` the guest's after
    argv[0]; ``dirs`` and ``preloads`` are as on the command line. ``parallel`` is the number
    of sequences of a model, None for what fits the machine. ``log_format`` is one of
    log.FORMATS. A guest that hangs for ``hang_timeout`` seconds is replaced. With ``limited`` the
    host keeps the limits of requests, see limits.py. So many workers start at a time, ``sharing``
    the memory. ``rpc`` are the addresses of llama.cpp's RPC workers. ``adapters`` are LoRA
    adapters, each SCALE:PATH. The ``cache_`` fields are Keeping's of llamaedge_host, "" for no
    folder.
    """

    folder: str
    guest: str
    args: tuple[str, ...]
    env: dict[str, str]
    dirs: tuple[str, ...]
    preloads: tuple[str, ...]
    instances: int
    parallel: int | None
    log_level: str
    log_format: str = log.TEXT
    hang_timeout: float = HANG_TIMEOUT
    limited: bool = False
    sharing: int = 1
    rpc: tuple[str, ...] = ()
    adapters: tuple[str, ...] = ()
    cache_ram: int | None = None
    cache_dir: str = ""
    cache_disk: int = DISK

    def encode(self) -> bytes:
        """One line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> "WorkerConfig":
        """Read what encode() wrote."""
        fields: dict[str, Any] = json.loads(line)
        for name in ("args", "dirs", "preloads", "rpc", "adapters"):
            fields[name] = tuple(fields[name])
        return cls(**fields)


@dataclass(frozen=True)
class Question:
    """What the front asks of a worker's models: ``about`` is a topic, ``given`` its JSON values."""

    number: int
    about: str
    given: dict[str, Any]

    def encode(self) -> bytes:
        """One line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> "Question":
        """Read what encode() wrote."""
        return cls(**json.loads(line))


@dataclass(frozen=True)
class ModelSize:
    """A model's size on this machine.

    ``context``, in tokens, is that of each of ``parallel`` sequences, ``trained`` the one that
    the model was made with. ``weights``, ``cache``, ``buffers`` are bytes, on the GPUs and not;
    ``on_gpu`` those of them that are there. ``on_use`` says that the cache takes its memory as it
    is used, which begins with next to nothing; ``smaller`` that it is of q8_0, since one of f16
    would not fit.
    """

    name: str
    context: int
    trained: int
    parallel: int
    threads: int
    layers: int
    gpu_layers: int
    weights: int
    cache: int
    buffers: int
    on_gpu: int
    on_use: bool = False
    smaller: bool = False

    @property
    def total(self) -> int:
        """Bytes of all."""
        return self.weights + self.cache + self.buffers


@dataclass(frozen=True)
class Sized:
    """What the models will take, before they are loaded, and the bytes that are free then."""

    models: tuple[ModelSize, ...]
    free: int

    @classmethod
    def decode(cls, fields: dict[str, Any]) -> "Sized":
        """Read JSON's values."""
        return cls(tuple(ModelSize(**each) for each in fields["models"]), fields["free"])


@dataclass(frozen=True)
class Listening:
    """A guest takes connections on the Unix socket ``path``."""

    path: str


@dataclass(frozen=True)
class Ended:
    """A guest has ended, and another one is being started.

    ``path`` is where it listened, None if it ended before it did. With ``cut`` its connections
    are still open, and nothing will come of them.
    """

    path: str | None
    message: str
    cut: bool = False


@dataclass(frozen=True)
class Failed:
    """The worker cannot serve: a model does not load, or a guest ends before it listens."""

    message: str
    exit_code: int = 1


@dataclass(frozen=True)
class Statistics:
    """What each engine has done, by its name; empty while models are loaded."""

    engines: dict[str, dict[str, object]]


@dataclass(frozen=True)
class Answered:
    """The answer to the question of this number: what was ``found``, or the ``problem``.

    A problem that lies in what was asked is the asker's ``fault``; one that no question of the kind
    can be spared says that it is ``unsupported``.
    """

    number: int
    found: Any = None
    problem: str | None = None
    fault: bool = False
    unsupported: bool = False


@dataclass(frozen=True)
class Alive:
    """The worker is alive; it says so every second."""


Event = Sized | Listening | Ended | Failed | Statistics | Answered | Alive
_EVENTS: dict[str, Callable[..., Event]] = {
    "sized": lambda **fields: Sized.decode(fields),
    "listening": Listening,
    "ended": Ended,
    "failed": Failed,
    "statistics": Statistics,
    "answered": Answered,
    "alive": Alive,
}
_NAMES: dict[type[Event], str] = {
    Sized: "sized",
    Listening: "listening",
    Ended: "ended",
    Failed: "failed",
    Statistics: "statistics",
    Answered: "answered",
    Alive: "alive",
}


def encode_event(event: Event) -> bytes:
    """One line of JSON."""
    return json.dumps({"event": _NAMES[type(event)], **asdict(event)}).encode() + b"\n"


def decode_event(line: bytes) -> Event:
    """Read what encode_event() wrote."""
    fields: dict[str, Any] = json.loads(line)
    return _EVENTS[fields.pop("event")](**fields)
