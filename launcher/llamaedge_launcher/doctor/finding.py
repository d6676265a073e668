"""What the doctor finds of one thing."""

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """How it is with something. Only what is wrong keeps a server from working."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """``what`` was looked at, what was ``found``, and the command or step that is the ``cure``."""

    what: str
    found: str
    state: State = State.OK
    cure: str = ""
