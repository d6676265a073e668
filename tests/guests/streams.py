"""This process's standard streams, replaced by pipes for a while.

Not fixtures: pytest takes standard output back between a fixture and its test.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def piped_stdin() -> Iterator[int]:
    """Standard input is a pipe; its writing end."""
    reader, writer = os.pipe()
    saved = os.dup(0)
    os.dup2(reader, 0)
    os.close(reader)
    try:
        yield writer
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        os.close(writer)


@contextmanager
def piped_stdout() -> Iterator[int]:
    """Standard output is a pipe; its reading end."""
    reader, writer = os.pipe()
    saved = os.dup(1)
    os.dup2(writer, 1)
    os.close(writer)
    try:
        yield reader
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        os.close(reader)
