"""The keyboard: quiet while an answer is drawn, with a memory while a question is typed."""

import atexit
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

try:
    import readline
    import termios
except ImportError:  # Windows
    readline = None  # type: ignore[assignment]
    termios = None  # type: ignore[assignment]

_HISTORY = 1000  # lines
_LFLAG = 3  # of what tcgetattr answers


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing that is typed, ^C among it, shows meanwhile: it would shift what is drawn."""
    if termios is None or not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    silent = list(before)
    silent[_LFLAG] &= ~termios.ECHO
    termios.tcsetattr(sys.stdin, termios.TCSANOW, silent)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


def remember_lines() -> None:
    """Let the arrow keys bring back what was typed, in earlier chats too."""
    if readline is None:
        return
    path = Path(platformdirs.user_state_path("llamaedge")) / "chat_history"
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        readline.read_history_file(path)
    readline.set_history_length(_HISTORY)
    atexit.register(_keep, path)


def _keep(path: Path) -> None:
    with suppress(OSError):
        readline.write_history_file(path)
        path.chmod(0o600)
