"""When guests get the tokens that were made for them."""

from .arrivals import Arrivals
from .sequence import Sequence


class Handover:
    """Keeps what a step has made until the next one begins. For the engine's thread alone.

    Guests are Python: one that is woken while other tokens are chosen takes the GIL, which the
    engine's thread would have to wait for. While llama.cpp computes, nobody needs it.
    """

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._sequences: list[Sequence] = []
        self._most = 0

    def made(self, sequence: Sequence, tokens: int) -> None:
        """``tokens`` of ``sequence`` are there."""
        self._sequences.append(sequence)
        self._most = max(self._most, tokens)

    def now(self) -> None:
        """Hand over what is there."""
        if self._sequences:
            for sequence in self._sequences:
                sequence.hand_over()
            self._arrivals.tell(self._most)
            self._sequences.clear()
            self._most = 0
