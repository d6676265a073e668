"""Chunks of a file, from a process of their own as they are read."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from .split import NOT_TEXT
from .text import NotTextError

_COMMAND = (sys.executable, "-P", "-m", "llamaedge_launcher.files.split")
_LONGEST_LINE = 64 * 1024 * 1024  # bytes; a chunk of the most tokens is far shorter


class SplitError(Exception):
    """The process failed; the log has what it said."""


@asynccontextmanager
async def splitting(
    path: Path, *, kind: str, most: int, overlap: int, within: float
) -> AsyncIterator[AsyncIterator[str]]:
    """The chunks of the file at ``path``, of at most ``most`` tokens; see split.py for the kinds.

    The first must be there ``within`` seconds: some texts take a splitter for ever. The process
    ends with the block. Raises TimeoutError, NotTextError and SplitError while they are read.
    """
    process = await asyncio.create_subprocess_exec(
        *_COMMAND,
        kind,
        str(most),
        str(overlap),
        str(path),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE,
    )
    try:
        yield _chunks(process, within)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _chunks(process: asyncio.subprocess.Process, within: float) -> AsyncIterator[str]:
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), within)
    following = await process.stdout.readline()
    while following:
        yield json.loads(line)
        line, following = following, await process.stdout.readline()
    code = await process.wait()
    if code == NOT_TEXT:
        raise NotTextError(json.loads(line))
    if code:
        raise SplitError(f"the splitter ended with exit code {code}")
    if line:
        yield json.loads(line)
