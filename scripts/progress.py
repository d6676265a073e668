"""usage: python scripts/progress.py LOG COMMAND [ARGUMENT ...]

Runs a pip command, which must say much (-v), and shows how far it is: in a terminal a line that
moves, elsewhere a line every half minute. All that it says goes to the file LOG; if it fails, the
end of that is shown. Ctrl-C ends both.
"""

import re
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

INTERVAL = 30.0
"""Seconds between two lines where there is no terminal."""
SHOWN = 30
"""Lines of the log that are shown of a failure."""
COMPILED = re.compile(r"\s*\[(\d+)/(\d+)\] ")
STAGES = re.compile(
    r"\s*(Collecting \S+|Building (?:wheel|editable) for \S+|Installing collected packages)"
)


def stage(line: str) -> str | None:
    """What ``line``, of pip or of ninja below it, says of how far it is."""
    if compiled := COMPILED.match(line):
        done, of = compiled.groups()
        return f"llama.cpp: {done} of {of} compiled" if done != "0" else None
    named = STAGES.match(line)
    return named[1] if named else None


class Progress:
    """The line that moves, or the lines, on ``out``."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._moves = out.isatty()
        self._told = time.monotonic()

    def show(self, text: str) -> None:
        """It has come to ``text``."""
        now = time.monotonic()
        if self._moves:
            self._out.write(f"\r\x1b[K{text:.78}")
        elif now - self._told >= INTERVAL:
            self._told = now
            self._out.write(f"{text}\n")
        self._out.flush()

    def end(self) -> None:
        """Take the line away."""
        if self._moves:
            self._out.write("\r\x1b[K")
            self._out.flush()


def follow(lines: Iterable[str], log: TextIO, progress: Progress) -> list[str]:
    """Write ``lines`` to ``log`` and show what they say; the last of them."""
    last: deque[str] = deque(maxlen=SHOWN)
    for line in lines:
        log.write(line)
        last.append(line)
        if text := stage(line):
            progress.show(text)
    progress.end()
    return list(last)


def main(log_path: str, *command: str) -> int:
    """Run ``command``; its exit code."""
    path = Path(log_path)
    with (
        path.open("w", encoding="utf-8") as log,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None
        try:
            last = follow(process.stdout, log, Progress(sys.stderr))
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            sys.stderr.write("\nstopped; the same command begins again\n")
            return 130
    if process.returncode:
        sys.stderr.write("".join(last))
        sys.stderr.write(
            f"error: it failed with exit code {process.returncode}; all of it: {path}\n"
        )
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
