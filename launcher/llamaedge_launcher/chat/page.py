"""An answer on the terminal, as markdown, while it comes."""

import sys
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown
from rich.text import Text

from .client import Piece

_PER_SECOND = 8
_FENCES = ("```", "~~~")


def finished(text: str) -> int:
    """The length of the beginning of ``text`` whose blocks no further text changes."""
    end = at = 0
    fence = ""
    for line in text.splitlines(keepends=True):
        at += len(line)
        bare = line.strip()
        if fence:
            fence = "" if bare.startswith(fence) else fence
        elif bare.startswith(_FENCES):
            fence = bare[:3]
        elif not bare and line.endswith("\n"):
            end = at
    return end


class Page(AbstractContextManager["Page"]):
    """Draws blocks that are finished once, and the last one again as it grows."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tail = ""
        self._thinking = False
        self._live = Live(
            console=console, refresh_per_second=_PER_SECOND, transient=True, auto_refresh=True
        )

    def add(self, piece: Piece) -> None:
        """Show ``piece``."""
        if piece.thought:
            self._thinking = True
            self._console.print(Text(piece.text, "dim italic"), end="", soft_wrap=True)
            return
        if self._thinking:
            self._thinking = False
            self._console.print("\n")
        self._tail += piece.text
        end = finished(self._tail)
        done, self._tail = self._tail[:end], self._tail[end:]
        if done.strip():
            self._show(done)
        if not self._live.is_started:
            self._live.start()
        self._live.update(Markdown(self._tail))

    def _show(self, text: str) -> None:
        self._live.update(Text(""), refresh=self._live.is_started)
        self._console.print(Markdown(text))
        self._console.print()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()
        if self._thinking:
            self._console.print()
        if self._tail.strip():
            self._console.print(Markdown(self._tail))


class Plain(AbstractContextManager["Plain"]):
    """Writes an answer as it is, for a file or a pipe; thoughts are left out."""

    def add(self, piece: Piece) -> None:
        """Write ``piece``."""
        if not piece.thought:
            sys.stdout.write(piece.text)
            sys.stdout.flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        sys.stdout.write("\n")
        sys.stdout.flush()
