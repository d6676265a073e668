"""WASI preview 1 errnos, and the ones WasmEdge adds for getaddrinfo.

Source: the witx of wasi_snapshot_preview1; WasmEdge's thirdparty/wasi/api.hpp.
"""

import errno as posix
import functools
from collections.abc import Callable
from enum import IntEnum
from typing import Concatenate, ParamSpec, TypeVar


class Errno(IntEnum):
    """An errno as a guest sees it."""

    SUCCESS = 0
    TOOBIG = 1
    ACCES = 2
    ADDRINUSE = 3
    ADDRNOTAVAIL = 4
    AFNOSUPPORT = 5
    AGAIN = 6
    ALREADY = 7
    BADF = 8
    BADMSG = 9
    BUSY = 10
    CANCELED = 11
    CHILD = 12
    CONNABORTED = 13
    CONNREFUSED = 14
    CONNRESET = 15
    DEADLK = 16
    DESTADDRREQ = 17
    DOM = 18
    DQUOT = 19
    EXIST = 20
    FAULT = 21
    FBIG = 22
    HOSTUNREACH = 23
    IDRM = 24
    ILSEQ = 25
    INPROGRESS = 26
    INTR = 27
    INVAL = 28
    IO = 29
    ISCONN = 30
    ISDIR = 31
    LOOP = 32
    MFILE = 33
    MLINK = 34
    MSGSIZE = 35
    MULTIHOP = 36
    NAMETOOLONG = 37
    NETDOWN = 38
    NETRESET = 39
    NETUNREACH = 40
    NFILE = 41
    NOBUFS = 42
    NODEV = 43
    NOENT = 44
    NOEXEC = 45
    NOLCK = 46
    NOLINK = 47
    NOMEM = 48
    NOMSG = 49
    NOPROTOOPT = 50
    NOSPC = 51
    NOSYS = 52
    NOTCONN = 53
    NOTDIR = 54
    NOTEMPTY = 55
    NOTRECOVERABLE = 56
    NOTSOCK = 57
    NOTSUP = 58
    NOTTY = 59
    NXIO = 60
    OVERFLOW = 61
    OWNERDEAD = 62
    PERM = 63
    PIPE = 64
    PROTO = 65
    PROTONOSUPPORT = 66
    PROTOTYPE = 67
    RANGE = 68
    ROFS = 69
    SPIPE = 70
    SRCH = 71
    STALE = 72
    TIMEDOUT = 73
    TXTBSY = 74
    XDEV = 75
    NOTCAPABLE = 76
    AIADDRFAMILY = 77
    AIAGAIN = 78
    AIBADFLAG = 79
    AIFAIL = 80
    AIFAMILY = 81
    AIMEMORY = 82
    AINODATA = 83
    AINONAME = 84
    AISERVICE = 85
    AISOCKTYPE = 86
    AISYSTEM = 87


_SPELT_OTHERWISE = {"2BIG": Errno.TOOBIG, "OPNOTSUPP": Errno.NOTSUP, "SHUTDOWN": Errno.PIPE}
_FROM_POSIX: dict[int, Errno] = {
    code: _SPELT_OTHERWISE.get(name[1:]) or Errno[name[1:]]
    for code, name in posix.errorcode.items()
    if name[1:] in Errno.__members__ or name[1:] in _SPELT_OTHERWISE
}


def from_os_error(error: OSError) -> Errno:
    """The errno a guest gets for ``error``; IO for one that WASI has no name for."""
    return _FROM_POSIX.get(error.errno or 0, Errno.IO)


MISALIGNED = Errno.ADDRNOTAVAIL
"""What WasmEdge answers for a misaligned pointer."""

_Self = TypeVar("_Self")
_Params = ParamSpec("_Params")


def answers_errno(
    function: Callable[Concatenate[_Self, _Params], int],
) -> Callable[Concatenate[_Self, _Params], int]:
    """Make an OSError of ``function`` the errno that the guest gets."""

    @functools.wraps(function)
    def call(self: _Self, /, *args: _Params.args, **kwargs: _Params.kwargs) -> int:
        try:
            return function(self, *args, **kwargs)
        except OSError as error:
            return from_os_error(error)

    return call
