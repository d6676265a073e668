"""sock_getaddrinfo: names to addresses, written into nodes that the guest allocated.

Source: WasmEdge's __wasi_addrinfo_t, __wasi_sockaddr_t, WasiSockGetAddrinfo and
INode::getAddrinfo.
"""

import os
import select
import socket
import struct
import threading

from ..imports import Imports
from ..memory import Memory
from ..preview1.errnos import MISALIGNED, Errno, from_os_error
from ..waker import Waker
from .address import HOST_FAMILIES, HOST_KINDS, Family, Kind
from .network import Found, Network, Query

_ADDRINFO = struct.Struct("<HBBB3xIIIII")
"""flags u16, family u8, socktype u8, protocol u8, addrlen u32, then pointers u32: address,
canonical name, that name's length, next node."""

_SOCKADDR = struct.Struct("<B3xII")
"""family u8, data length u32, pointer to data u32."""

_INET4 = struct.Struct("!H4s8x")
"""sockaddr_in after its family: port, address."""

_INET6 = struct.Struct("!HI16sI")
"""sockaddr_in6 after its family: port, flow, address, scope."""

_ADDRESS_LENGTH = {Family.INET4: 16, Family.INET6: 28}
_CANONNAME = 2

_HOST_FLAGS = {
    1: socket.AI_PASSIVE,
    _CANONNAME: socket.AI_CANONNAME,
    4: socket.AI_NUMERICHOST,
    8: socket.AI_NUMERICSERV,
    16: socket.AI_V4MAPPED,
    32: socket.AI_ALL,
    64: socket.AI_ADDRCONFIG,
}
_PROTOCOLS = {0: 0, 1: socket.IPPROTO_TCP, 2: socket.IPPROTO_UDP}
_QUERY_FAMILIES = {
    Family.UNSPEC: socket.AF_UNSPEC,
    Family.INET4: socket.AF_INET,
    Family.INET6: socket.AF_INET6,
}
_QUERY_KINDS = {Kind.ANY: 0, **HOST_KINDS}
_FAMILIES = {HOST_FAMILIES[family]: family for family in (Family.INET4, Family.INET6)}
_KINDS = {host: kind for kind, host in HOST_KINDS.items()}
_PROTOCOLS_OF_HOST = {host: protocol for protocol, host in _PROTOCOLS.items()}

_MOST_LOOKUPS = 32
"""At once in this process: a resolver may take minutes for each that a stopped guest left."""

_lookups = threading.Semaphore(_MOST_LOOKUPS)

_ERRNOS = {
    getattr(socket, name): errno
    for name, errno in {
        "EAI_ADDRFAMILY": Errno.AIADDRFAMILY,
        "EAI_AGAIN": Errno.AIAGAIN,
        "EAI_BADFLAGS": Errno.AIBADFLAG,
        "EAI_FAIL": Errno.AIFAIL,
        "EAI_FAMILY": Errno.AIFAMILY,
        "EAI_MEMORY": Errno.AIMEMORY,
        "EAI_NODATA": Errno.AINODATA,
        "EAI_NONAME": Errno.AINONAME,
        "EAI_SERVICE": Errno.AISERVICE,
        "EAI_SOCKTYPE": Errno.AISOCKTYPE,
        "EAI_SYSTEM": Errno.AISYSTEM,
    }.items()
    if hasattr(socket, name)
}


class AddrinfoCalls:
    """The function over one guest's network."""

    def __init__(self, memory: Memory, network: Network, waker: Waker) -> None:
        self._memory = memory
        self._network = network
        self._waker = waker

    def imports(self) -> Imports:
        """The one function."""
        return {("sock_getaddrinfo", "iiiiiiii"): self.getaddrinfo}

    def getaddrinfo(
        self,
        node: int,
        node_len: int,
        service: int,
        service_len: int,
        hints: int,
        results: int,
        max_len: int,
        written: int,
    ) -> int:
        """``sock_getaddrinfo``: look a name up; blocks until the host's resolver answers.

        Parameters:
            node: a host's name or address, which may end in NUL.
            node_len: its bytes, 0 for none.
            service: a service's name or port, which may end in NUL.
            service_len: its bytes, 0 for none.
            hints: an addrinfo whose flags, family, type and protocol narrow the answer.
            results: where the pointer to the first node is, each with room for 26 bytes of data.
            max_len: of nodes, linked by their next pointers.
            written: where the number of nodes that were filled in is written, u32.

        Result:
            ADDRNOTAVAIL: a misaligned pointer.
            AINONAME: no node and no service, or an unknown node.
            AIMEMORY: ``max_len`` is 0.
            AIBADFLAG: an unknown flag, or CANONNAME with no node.
            AIFAMILY: an unknown family.
            NOSYS: an unknown type or protocol.
            AIAGAIN: too many lookups at once, or the resolver has no answer now.
            AIADDRFAMILY, AIFAIL, AINODATA, AISERVICE, AISOCKTYPE, AISYSTEM: the resolver's own.

        Like getaddrinfo(3). See WasmEdge's WasiSockGetAddrinfo.
        """
        if (hints | results | written) & 3:
            return MISALIGNED
        memory = self._memory
        names = _name(memory.read(node, node_len)), _name(memory.read(service, service_len))
        flags, family, kind, protocol, *_ = memory.unpack(_ADDRINFO, hints)
        first = memory.u32(results)
        memory.view(written, 4)
        if not any(names):
            return Errno.AINONAME
        if max_len < 1:
            return Errno.AIMEMORY
        if flags & ~sum(_HOST_FLAGS) or (flags & _CANONNAME and not names[0]):
            return Errno.AIBADFLAG
        if family not in _QUERY_FAMILIES:
            return Errno.AIFAMILY
        if kind not in _QUERY_KINDS or protocol not in _PROTOCOLS:
            return Errno.NOSYS
        query = Query(
            *names,
            _QUERY_FAMILIES[Family(family)],
            _QUERY_KINDS[Kind(kind)],
            _PROTOCOLS[protocol],
            sum(host for flag, host in _HOST_FLAGS.items() if flags & flag),
        )
        try:
            found = self._resolve(query)
        except socket.gaierror as error:
            return _ERRNOS.get(error.errno or 0, Errno.AIFAIL)
        except OSError as error:
            return from_os_error(error)
        memory.set_u32(written, self._fill(first, found, max_len, flags))
        return Errno.SUCCESS

    def _resolve(self, query: Query) -> list[Found]:
        """Look up at once what is numeric, and a name in a thread that a stop leaves behind.

        Raises gaierror (EAI_AGAIN) while too many of those are at work.
        """
        if query.node is None or query.flags & socket.AI_NUMERICHOST:
            return self._network.resolve(query)
        try:
            return self._network.resolve(query._replace(flags=query.flags | socket.AI_NUMERICHOST))
        except socket.gaierror as error:
            if error.errno != socket.EAI_NONAME:
                raise
        outcome: list[list[Found] | OSError] = []
        answered, done = os.pipe()
        if not _lookups.acquire(blocking=False):
            os.close(answered)
            os.close(done)
            raise socket.gaierror(socket.EAI_AGAIN, "too many names are being looked up")

        def look_up() -> None:
            try:
                outcome.append(self._network.resolve(query))
            except OSError as error:
                outcome.append(error)
            finally:
                os.close(done)
                _lookups.release()

        threading.Thread(target=look_up, name="getaddrinfo", daemon=True).start()
        try:
            self._waker.wait(answered, select.POLLIN)
        finally:
            os.close(answered)
        if isinstance(outcome[0], OSError):
            raise outcome[0]
        return outcome[0]

    def _fill(self, node: int, found: list[Found], max_len: int, flags: int) -> int:
        """Write the answers into the list that starts at ``node``; how many fitted."""
        memory = self._memory
        known = [one for one in found if one.family in _FAMILIES and one.kind in _KINDS]
        count = 0
        for answer in known[:max_len]:
            if node == 0:
                break
            *_, address, name, name_room, following = memory.unpack(_ADDRINFO, node)
            family = _FAMILIES[socket.AddressFamily(answer.family)]
            self._fill_address(address, family, answer)
            canonical = answer.canonical_name.encode()[: max(name_room - 1, 0)]
            if canonical:
                memory.write(name, canonical + b"\0")
            memory.pack(
                _ADDRINFO,
                node,
                flags,
                family,
                _KINDS[socket.SocketKind(answer.kind)],
                _PROTOCOLS_OF_HOST.get(answer.protocol, 0),
                _ADDRESS_LENGTH[family],
                address,
                name,
                len(canonical),
                following,
            )
            node = following
            count += 1
        return count

    def _fill_address(self, pointer: int, family: Family, answer: Found) -> None:
        memory = self._memory
        _, _, data = memory.unpack(_SOCKADDR, pointer)
        name, port, *rest = answer.address
        host = socket.inet_pton(answer.family, str(name).partition("%")[0])
        if family is Family.INET4:
            raw = _INET4.pack(port, host)
        else:
            flow, scope = rest
            raw = _INET6.pack(port, flow, host, scope)
        memory.write(data, raw)
        memory.pack(_SOCKADDR, pointer, family, len(raw), data)


def _name(data: bytes) -> bytes | None:
    return data.partition(b"\0")[0] or None
