"""Directories given to a guest."""

from dataclasses import dataclass
from pathlib import Path

from .errors import HostError
from .paths import expanded


@dataclass(frozen=True)
class Preopen:
    """The directory ``host`` of this machine, seen by the guest as ``guest``."""

    host: Path
    guest: str
    readonly: bool = False

    @classmethod
    def parse(cls, text: str) -> "Preopen":
        """Read ``host``, ``guest:host`` or ``guest:host:readonly``, as WasmEdge's --dir;
        the host's path may begin with ``~``.

        Raises HostError for anything else.
        """
        guest, _, rest = text.partition(":")
        host, _, mode = rest.partition(":")
        if mode not in ("", "readonly") or not guest:
            raise HostError(
                f"--dir {text}: expected HOST, GUEST:HOST or GUEST:HOST:readonly, found {mode!r}"
            )
        return cls(expanded(host or guest), guest, mode == "readonly")
