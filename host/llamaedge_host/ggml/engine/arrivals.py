"""What guests with several computations wait for: that anything comes of any of them."""

import threading


class Arrivals:
    """Counts the times that sequences were handed something. Safe to use from any thread."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = threading.Condition()

    def tell(self) -> None:
        """Something was handed over: wake whoever waits."""
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def wait(self, seen: int, timeout: float) -> None:
        """Wait until ``count`` is not ``seen`` any more, at most ``timeout`` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self.count != seen, timeout)
