"""`llamaedge run` as users run it, on the real model."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LLAMAEDGE = str(Path(sys.executable).with_name("llamaedge"))
QUESTION = "Who was Robert Oppenheimer?"
USER = {"role": "user", "content": QUESTION}
START = 90  # seconds


class Server:
    """A running `llamaedge run`, with its terminal in a file.

    It listens on a free port, and keeps files in ``folder``, unless it is ``placed`` by its own
    ``arguments``.
    """

    def __init__(
        self, folder: Path, *arguments: str, threads: int | None, placed: bool = False
    ) -> None:
        self.terminal = folder / "terminal"
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.data = folder / "data"
        given = [] if threads is None else ["--threads", str(threads)]
        given += [] if placed else ["--port", "0", "--data-dir", str(self.data)]
        with self.terminal.open("w") as file:
            self.process = subprocess.Popen(
                [LLAMAEDGE, "run", *given, *arguments],
                stdout=file,
                stderr=file,
                env=os.environ | {"TMPDIR": str(self.temporary)},
            )

    def wait_ready(self) -> str:
        """The address that it shows, once it answers."""
        deadline = time.monotonic() + START
        while not (found := re.search(r"ready in .*: (http://\S+)/v1", self.terminal.read_text())):
            assert self.process.poll() is None, self.terminal.read_text()
            assert time.monotonic() < deadline, self.terminal.read_text()
            time.sleep(0.02)
        return found[1]

    def worker(self) -> int:
        """The first worker's process id."""
        return self.workers()[0]

    def workers(self) -> list[int]:
        """The process ids of what the server has started."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return sorted(int(pid) for each in tasks for pid in each.read_text().split())


@contextmanager
def running(folder: Path, *arguments: str, threads: int | None = 1) -> Iterator[Server]:
    """A server that ends with the block; one thread is fastest on a machine that is shared."""
    server = Server(folder, *arguments, threads=threads)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
        server.process.wait()
