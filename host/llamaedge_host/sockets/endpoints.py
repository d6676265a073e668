"""sock_getlocaladdr and sock_getpeeraddr.

Source: WasmEdge's lib/host/wasi/wasifunc.cpp and inode-linux.cpp.
"""

from ..imports import Imports
from ..memory import Memory
from ..preview1.errnos import MISALIGNED, Errno, answers_errno
from .address import ADDRESS, STORAGE_SIZE, Family, write_host
from .descriptors import Descriptors

_V1_TYPES = {Family.INET4: 4, Family.INET6: 6}


class EndpointCalls:
    """Those functions over one guest's descriptors."""

    def __init__(self, memory: Memory, descriptors: Descriptors) -> None:
        self._memory = memory
        self._descriptors = descriptors
        self._sockets = descriptors.sockets

    def imports(self) -> Imports:
        """Both functions, V1's and V2's names and types."""
        second: Imports = {
            ("sock_getlocaladdr", "iii"): self.getlocaladdr_v2,
            ("sock_getpeeraddr", "iii"): self.getpeeraddr_v2,
        }
        named = {(f"{name}_v2", params): call for (name, params), call in second.items()}
        first: Imports = {
            ("sock_getlocaladdr", "iiii"): self.getlocaladdr_v1,
            ("sock_getpeeraddr", "iiii"): self.getpeeraddr_v1,
        }
        return second | named | first

    @answers_errno
    def getlocaladdr_v1(self, fd: int, address: int, kind: int, port: int) -> int:
        """``sock_getlocaladdr`` of V1: the address that a socket is bound to.

        Parameters:
            fd: the socket.
            address: an address structure, whose buffer is 4 or 16 bytes.
            kind: where 4 or 6 is written, for the family, u32.
            port: where the port is written, u32 in host order.

        Result:
            ADDRNOTAVAIL: a misaligned pointer.
            INVAL: a buffer of another size.
            BADF: ``fd`` is not open.
            NOTSOCK: ``fd`` is a file.
            NOMEM: the address is longer than the buffer.

        Like getsockname(2). See WasmEdge's WasiSockGetLocalAddrV1.
        """
        return self._answer_v1(fd, address, kind, port, local=True)

    @answers_errno
    def getpeeraddr_v1(self, fd: int, address: int, kind: int, port: int) -> int:
        """``sock_getpeeraddr`` of V1: the address of the far end.

        Parameters:
            fd: the socket.
            address: an address structure, whose buffer is 4 or 16 bytes.
            kind: where 4 or 6 is written, for the family, u32.
            port: where the port is written, u32 in host order.

        Result: as getlocaladdr_v1's, and
            NOTCONN: the socket is not connected.

        Like getpeername(2). See WasmEdge's WasiSockGetPeerAddrV1.
        """
        return self._answer_v1(fd, address, kind, port, local=False)

    @answers_errno
    def getlocaladdr_v2(self, fd: int, address: int, port: int) -> int:
        """``sock_getlocaladdr`` of V2: the address that a socket is bound to, with its family.

        Parameters:
            fd: the socket.
            address: an address structure, whose buffer is 128 bytes: family u16, then the address.
            port: where the port is written, u32 in host order.

        Result:
            ADDRNOTAVAIL: a misaligned pointer.
            INVAL: a buffer of another size.
            BADF: ``fd`` is not open.
            NOTSOCK: ``fd`` is a file.

        Like getsockname(2). See WasmEdge's WasiSockGetLocalAddrV2.
        """
        return self._answer_v2(fd, address, port, local=True)

    @answers_errno
    def getpeeraddr_v2(self, fd: int, address: int, port: int) -> int:
        """``sock_getpeeraddr`` of V2: the address of the far end, with its family.

        Parameters:
            fd: the socket.
            address: an address structure, whose buffer is 128 bytes: family u16, then the address.
            port: where the port is written, u32 in host order.

        Result: as getlocaladdr_v2's, and
            NOTCONN: the socket is not connected.

        Like getpeername(2). See WasmEdge's WasiSockGetPeerAddrV2.
        """
        return self._answer_v2(fd, address, port, local=False)

    def _answer_v1(self, fd: int, address: int, kind: int, port: int, *, local: bool) -> int:
        if (address | kind | port) & 3:
            return MISALIGNED
        memory = self._memory
        buffer = memory.view(*memory.unpack(ADDRESS, address))
        if len(buffer) not in (4, 16):
            return Errno.INVAL
        memory.view(kind, 4)
        memory.view(port, 4)
        guest = self._sockets.get(fd)
        if guest is None:
            return self._descriptors.absent(fd)
        where = guest.local() if local else guest.peer()
        if not write_host(buffer, where):
            return Errno.NOMEM
        memory.set_u32(kind, _V1_TYPES[where.family])
        memory.set_u32(port, where.port)
        return Errno.SUCCESS

    def _answer_v2(self, fd: int, address: int, port: int, *, local: bool) -> int:
        if (address | port) & 3:
            return MISALIGNED
        memory = self._memory
        buffer = memory.view(*memory.unpack(ADDRESS, address))
        memory.view(port, 4)
        if len(buffer) != STORAGE_SIZE:
            return Errno.INVAL
        guest = self._sockets.get(fd)
        if guest is None:
            return self._descriptors.absent(fd)
        where = guest.local() if local else guest.peer()
        buffer[:2] = where.family.to_bytes(2, "little")
        write_host(buffer[2:], where)
        memory.set_u32(port, where.port)
        return Errno.SUCCESS
