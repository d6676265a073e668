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
    with _replaced(0, reader):
        try:
            yield writer
        finally:
            os.close(writer)


@contextmanager
def piped_stdout() -> Iterator[int]:
    """Standard output is a pipe; its reading end."""
    reader, writer = os.pipe()
    with _replaced(1, writer):
        try:
            yield reader
        finally:
            os.close(reader)


@contextmanager
def _replaced(stream: int, end: int) -> Iterator[None]:
    """``end`` of a pipe, which is closed, takes the place of a standard stream."""
    saved = os.dup(stream)
    os.dup2(end, stream)
    os.close(end)
    try:
        yield
    finally:
        os.dup2(saved, stream)
        os.close(saved)
