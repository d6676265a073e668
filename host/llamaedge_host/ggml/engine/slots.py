"""What the slots of an engine are doing, for those who ask, and their numbers."""

from dataclasses import dataclass

from ...nn.errno import NnErrno
from ..errors import GgmlError
from .cache import Slot


def place(number: int, slots: int) -> int | None:
    """The slot that a request names by its ``number``, None if that is negative.

    Raises GgmlError (INVALID_ARGUMENT) for one that is not among ``slots``.
    """
    if number >= slots:
        raise GgmlError(
            NnErrno.INVALID_ARGUMENT,
            f"id-slot: there is no slot {number}; the last one is {slots - 1}",
        )
    return None if number < 0 else number


@dataclass(frozen=True)
class SlotState:
    """The slot number ``index``, whose cache has ``tokens`` of the ``cells`` that it may have.

    While a sequence is in it, it is ``busy``: ``prompt`` tokens were given, ``reused`` of them were
    in a cache, ``made`` followed, and ``left`` may follow at most, None for no limit. ``drafts``
    tells whether tokens are drafted.
    """

    index: int
    cells: int
    drafts: bool
    tokens: int
    busy: bool = False
    prompt: int = 0
    reused: int = 0
    made: int = 0
    left: int | None = None

    @classmethod
    def of(cls, slot: Slot, *, cells: int, drafts: bool) -> "SlotState":
        """What ``slot`` is doing now. In the computing thread."""
        sequence = slot.sequence
        if sequence is None:
            return cls(slot.index, cells, drafts, len(slot.tokens))
        return cls(
            slot.index,
            cells,
            drafts,
            sequence.position,
            busy=True,
            prompt=sequence.prompt_length,
            reused=sequence.reused,
            made=sequence.made,
            left=sequence.left,
        )
