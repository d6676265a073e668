"""What guests with several computations wait for: that anything comes of any of them."""

import threading


class Arrivals:
    """Counts what sequences were handed. Safe to use from any thread.

    ``count`` grows by the number of times that a guest must ask all its computations in turn to
    have taken everything.
    """

    def __init__(self) -> None:
        self.count = 0
        self.sequences = 0
        """Those that have not ended: what they were handed may be unread."""
        self._changed = threading.Condition()

    def begin(self) -> bool:
        """A sequence begins; whether there are others."""
        with self._changed:
            self.sequences += 1
            return self.sequences > 1

    def end(self) -> None:
        """A sequence has ended."""
        with self._changed:
            self.sequences -= 1

    def tell(self, items: int = 1) -> None:
        """``items`` at most were handed to one and the same sequence: wake whoever waits."""
        with self._changed:
            self.count += items
            self._changed.notify_all()

    def wait(self, seen: int, timeout: float) -> None:
        """Wait until ``count`` is not ``seen`` any more, at most ``timeout`` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self.count != seen, timeout)
