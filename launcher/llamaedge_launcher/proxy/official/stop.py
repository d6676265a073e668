"""Texts before which an answer ends."""

from collections.abc import Sequence


class Stop:
    """Finds the first of ``texts`` in an answer that comes in pieces."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self._held = ""
        self.found = False

    def feed(self, piece: str) -> str:
        """What of the answer can be sent now: nothing that may begin one of the texts."""
        if self.found:
            return ""
        text = self._held + piece
        starts = [at for each in self._texts if (at := text.find(each)) >= 0]
        if starts:
            self.found = True
            self._held = ""
            return text[: min(starts)]
        kept = max((_overlap(text, each) for each in self._texts), default=0)
        self._held = text[len(text) - kept :]
        return text[: len(text) - kept]

    def rest(self) -> str:
        """What is still held at the answer's end."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, wanted: str) -> int:
    """The length of the longest end of ``text`` that begins ``wanted``."""
    longest = min(len(text), len(wanted) - 1)
    return next((n for n in range(longest, 0, -1) if wanted.startswith(text[-n:])), 0)
