"""What a guest says, as lines of the log that name it."""

import logging
from collections import deque

from . import log

_MOST_HELD = 500  # lines, of which the last ones count


class Voice:
    """Where a guest called ``name`` writes: ``stdout`` and ``stderr``.

    How it starts is nobody's concern unless it fails: until it serves, what it says below a
    warning is held back, and then told at debug; if it ends before that, as it was said.
    """

    def __init__(self, name: str) -> None:
        self.stdout = _Lines(self, f"{name}.stdout", name)
        self.stderr = _Lines(self, f"{name}.stderr", name)
        self._held: deque[tuple[_Lines, int, str]] | None = deque(maxlen=_MOST_HELD)

    def serve(self) -> None:
        """The guest has a request."""
        held, self._held = self._held, None
        if held and logging.root.isEnabledFor(logging.DEBUG):
            for lines, _, text in held:
                lines.log(logging.DEBUG, text)

    def close(self) -> None:
        """The guest has ended."""
        held, self._held = self._held, None
        for lines, level, text in held or ():
            lines.log(level, text)
        self.stdout.close()
        self.stderr.close()

    def take(self, lines: "_Lines", level: int, text: str) -> None:
        """Log the line, or hold it back."""
        if self._held is None or level >= logging.WARNING:
            lines.log(level, text)
        else:
            self._held.append((lines, level, text))


class _Lines(log.Lines):
    """One of a voice's outputs."""

    def __init__(self, voice: Voice, logger: str, name: str) -> None:
        super().__init__(logger, said_by=name)
        self._voice = voice

    def tell(self, level: int, text: str) -> None:
        """Hand the line to the voice."""
        self._voice.take(self, level, text)

    def log(self, level: int, text: str) -> None:
        """Log it."""
        super().tell(level, text)
