"""Which function a loaded library calls by a name: what its links to other libraries say.

Linux with glibc on 64 bits; elsewhere nothing is found. Source: ELF's dynamic section and
relocations (gABI, chapter 5), and ``struct link_map`` of <link.h>.
"""

import ctypes
import mmap
import sys
from collections.abc import Iterator

_LINK_MAP = 2  # RTLD_DI_LINKMAP
_LINKS_SIZE, _STRINGS, _SYMBOLS, _LINKS = 2, 5, 6, 23
"""DT_PLTRELSZ, DT_STRTAB, DT_SYMTAB, DT_JMPREL."""
_READ_WRITE = mmap.PROT_READ | mmap.PROT_WRITE


class _LinkMap(ctypes.Structure):
    _fields_ = (
        ("base", ctypes.c_uint64),
        ("name", ctypes.c_char_p),
        ("dynamic", ctypes.c_void_p),
    )


class _Dynamic(ctypes.Structure):
    _fields_ = (("tag", ctypes.c_int64), ("value", ctypes.c_uint64))


class _Link(ctypes.Structure):  # Elf64_Rela
    _fields_ = (
        ("offset", ctypes.c_uint64),
        ("kind", ctypes.c_uint32),
        ("symbol", ctypes.c_uint32),
        ("addend", ctypes.c_int64),
    )


class _Symbol(ctypes.Structure):  # Elf64_Sym
    _fields_ = (
        ("name", ctypes.c_uint32),
        ("info", ctypes.c_uint8),
        ("other", ctypes.c_uint8),
        ("section", ctypes.c_uint16),
        ("value", ctypes.c_uint64),
        ("size", ctypes.c_uint64),
    )


def link(library: ctypes.CDLL, name: str, function: int) -> bool:
    """Let ``library`` call the ``function`` at an address where it calls ``name``.

    Whether it calls another library's function of that name, and this system tells where.
    """
    if sys.maxsize < 2**32 or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"):
        return False
    place = next(_places(library, name.encode()), 0)
    return bool(place) and _write(place, function)


def _places(library: ctypes.CDLL, name: bytes) -> Iterator[int]:
    """The addresses at which ``library`` has the address of the function ``name``."""
    known = ctypes.POINTER(_LinkMap)()
    if ctypes.CDLL(None).dlinfo(ctypes.c_void_p(library._handle), _LINK_MAP, ctypes.byref(known)):
        return
    base, values = known.contents.base, dict(_dynamic(known.contents.dynamic))
    if not {_STRINGS, _SYMBOLS, _LINKS, _LINKS_SIZE} <= values.keys():
        return
    strings, symbols, links = (
        value if value >= base else base + value  # which glibc does, save on some processors
        for value in (values[tag] for tag in (_STRINGS, _SYMBOLS, _LINKS))
    )
    for each in (_Link * (values[_LINKS_SIZE] // ctypes.sizeof(_Link))).from_address(links):
        symbol = _Symbol.from_address(symbols + each.symbol * ctypes.sizeof(_Symbol))
        if ctypes.string_at(strings + symbol.name) == name:
            yield base + each.offset


def _dynamic(address: int) -> Iterator[tuple[int, int]]:
    while (entry := _Dynamic.from_address(address)).tag:
        yield entry.tag, entry.value
        address += ctypes.sizeof(_Dynamic)


def _write(place: int, function: int) -> bool:
    """Write an address at ``place``, which may be in a page that is read alone."""
    page = place & -mmap.PAGESIZE
    if ctypes.CDLL(None).mprotect(ctypes.c_void_p(page), mmap.PAGESIZE, _READ_WRITE):
        return False
    ctypes.c_uint64.from_address(place).value = function
    return True
