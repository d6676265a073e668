"""A model's weights in huge pages, where memory is plentiful.

Each step reads all weights, and a processor's tables of pages hold a few thousand: with pages of
4 KB most reads look a page up in memory first, on a virtual machine twice. With pages of 2 MB a
step of one row takes a fifth less. A file's pages are small on most systems, so what is mapped of a
model is copied, a piece after another, into memory of this process's own that takes the mapping's
place while the model is used. What llama.cpp allocated for weights is made of huge pages where it
is. Both are Linux's: mmap(2), mremap(2), madvise(2).
"""

import ctypes
import logging
import mmap
import os
import re
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .contention import humbly
from .memory import available_memory, shown
from .zeroing import Region

HUGE = 2**21
"""Bytes of a huge page."""
PIECE = 16 * HUGE
"""Bytes that are moved at once."""
SHARE = 0.5
"""The part of the free memory that weights may take as this process's own."""
MOSTLY = 0.9
"""The part of a model that must be mapped for the mapping to be moved: of what was allocated
instead, it has a copy that nobody reads."""
_ENABLED = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r--s ([0-9a-f]+) \S+ \d+ +(.*)")
_NOT_NEEDED, _HUGE_PAGES, _COLLAPSE = 4, 14, 25  # MADV_
_MAY_MOVE, _FIXED = 1, 2  # MREMAP_
_FAILED = ctypes.c_void_p(-1).value
_log = logging.getLogger("llamaedge_host.nn")

_libc = ctypes.CDLL(None, use_errno=True)
_P, _N, _I = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int


def _function(name: str, result: Any, *arguments: Any) -> Any:
    found = getattr(_libc, name, None)  # mremap is Linux's
    if found is not None:
        found.restype, found.argtypes = result, list(arguments)
    return found


Mappings = dict[int, tuple[int, int, Path]]
"""By their addresses: how many bytes they have, from where in which file on."""


def mappings(paths: Iterable[Path]) -> Mappings:
    """What of the files ``paths`` this process has mapped to read it, beside other processes."""
    wanted = {os.path.realpath(path): path for path in paths}
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return {}
    found = (line for line in map(_MAPPING.fullmatch, lines) if line and line[4] in wanted)
    return {
        int(line[1], 16): (int(line[2], 16) - int(line[1], 16), int(line[3], 16), wanted[line[4]])
        for line in found
    }


def possible() -> bool:
    """Whether the system lends huge pages to those who ask."""
    try:
        return "[never]" not in _ENABLED.read_text()
    except OSError:
        return False


class HugePages:
    """Takes care of one model's weights in a thread of its own, until that is done or ``end``.

    ``mapped`` is what was mapped for it, ``allocated`` what was allocated. ``end`` must be called
    before the model is freed.
    """

    def __init__(self, mapped: Mappings, allocated: list[Region]) -> None:
        self.moved = 0
        """Bytes that are in huge pages, as far as the system had any."""
        self._over = threading.Event()
        self._mapped = mapped
        self._allocated = [_whole(begin, size) for begin, size in allocated]
        self._thread = threading.Thread(target=self._run, name="huge-pages", daemon=True)

    def begin(self) -> None:
        """Begin, if huge pages are possible and there is memory enough."""
        owned = sum(size for _, size in self._allocated)
        size = sum(size for size, _, _ in self._mapped.values())
        if owned > (1 - MOSTLY) * (owned + size):
            if 2 * owned > size:
                self._give_back()
            self._mapped, size = {}, 0
        if possible() and size <= SHARE * available_memory() and size + owned >= HUGE:
            self._thread.start()

    def _give_back(self) -> None:
        """Take the pages of the mapping out of this process: what of them is read comes again."""
        for begin, (size, _, _) in self._mapped.items():
            _madvise(begin, size, _NOT_NEEDED)

    def wait(self) -> None:
        """Wait until all is done."""
        if self._thread.ident is not None:
            self._thread.join()

    def end(self) -> None:
        """Stop soon."""
        self._over.set()
        self.wait()

    def _run(self) -> None:
        with humbly():
            self._move_all()

    def _move_all(self) -> None:
        try:
            for begin, (size, offset, path) in self._mapped.items():
                self._move(begin, size, offset, path)
            for begin, size in self._allocated:
                self._collapse(begin, size)
        except OSError as error:
            _log.info("[WASI-NN] GGML backend: no more huge pages for weights: %s", error.strerror)
        else:
            _log.debug("[WASI-NN] GGML backend: %s of weights in huge pages", shown(self.moved))

    def _pieces(self, begin: int, size: int) -> Iterator[Region]:
        for at in range(begin, begin + size, PIECE):
            if self._over.is_set():
                return
            yield at, min(PIECE, begin + size - at)

    def _move(self, mapped: int, size: int, offset: int, path: Path) -> None:
        first, whole = _whole(mapped, size)
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            for begin, length in self._pieces(first, whole):
                _replace(begin, length, file, offset + begin - mapped)
                self.moved += length
        finally:
            os.close(file)

    def _collapse(self, first: int, whole: int) -> None:
        _checked(_madvise(first, whole, _HUGE_PAGES))
        for begin, length in self._pieces(first, whole):
            for at in range(begin, begin + length, HUGE):
                if not _madvise(at, HUGE, _COLLAPSE):  # Linux 6.1; else it does so by and by
                    self.moved += HUGE


def _whole(begin: int, size: int) -> Region:
    """The whole huge pages among ``size`` bytes from ``begin`` on."""
    first, last = begin + -begin % HUGE, (begin + size) // HUGE * HUGE
    return first, max(last - first, 0)


def _replace(begin: int, size: int, file: int, offset: int) -> None:
    """Put huge pages in the place of a mapping, with what the file has there. Raises OSError.

    Whoever reads there meanwhile sees the one or the other, which say the same.
    """
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    room = _mmap(None, size + HUGE, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0)
    _checked(room == _FAILED)
    first = room + -room % HUGE
    try:
        _checked(_madvise(first, size, _HUGE_PAGES))
        memory = memoryview((ctypes.c_char * size).from_address(first)).cast("B")
        done = 0
        while done < size:
            read = os.preadv(file, [memory[done:]], offset + done)
            if not read:
                raise OSError(0, "the model's file has become shorter")
            done += read
        _checked(_mprotect(first, size, mmap.PROT_READ))
        moved = _mremap(first, size, size, _MAY_MOVE | _FIXED, begin)
        _checked(moved == _FAILED)
    except OSError:
        _munmap(room, size + HUGE)
        raise
    _munmap(room, first - room)
    _munmap(first + size, room + HUGE - first)


def _checked(failed: object) -> None:
    if failed:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


_mmap = _function("mmap", _P, _P, _N, _I, _I, _I, ctypes.c_int64)
_munmap = _function("munmap", _I, _P, _N)
_madvise = _function("madvise", _I, _P, _N, _I)
_mprotect = _function("mprotect", _I, _P, _N, _I)
_mremap = _function("mremap", _P, _P, _N, _N, _I, _P)
