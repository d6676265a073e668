"""sock_getaddrinfo."""

import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from guests.probe import Probe
from guests.sockets import DGRAM, INET4, INET6, LOOPBACK, OUT, OUT2, STREAM

from llamaedge_host import Guest, GuestStopped, HostNetwork, PrivateNetwork
from llamaedge_host.preview1.errnos import Errno
from llamaedge_host.sockets.network import Found, Query

FAR = 0x7FFFFFF0
ADDRINFO = "HBBB3xIIIII"
SOCKADDR = "B3xII"
HINTS, NODE, SERVICE = 0x100, 0x140, 0x180
NODES, SOCKADDRS, BUFFERS, CANONICAL = 0x1000, 0x2000, 0x3000, 0x4000
PASSIVE, CANONNAME, NUMERICHOST, NUMERICSERV = 1, 2, 4, 8


def put_nodes(probe: Probe, count: int) -> None:
    """A list of ``count`` nodes such as wasmedge_wasi_socket allocates."""
    for index in range(count):
        following = NODES + 28 * (index + 1) if index + 1 < count else 0
        address, name = SOCKADDRS + 12 * index, CANONICAL + 32 * index
        probe.pack(NODES + 28 * index, ADDRINFO, 0, 0, 0, 0, 0, address, name, 30, following)
        probe.pack(address, SOCKADDR, 0, 26, BUFFERS + 32 * index)
    probe.pack(OUT, "I", NODES)


def look_up(
    probe: Probe,
    node: bytes = b"127.0.0.1",
    service: bytes = b"80",
    *,
    flags: int = 0,
    family: int = 0,
    kind: int = STREAM,
    protocol: int = 0,
    room: int = 4,
) -> int:
    probe.write(NODE, node)
    probe.write(SERVICE, service)
    probe.pack(HINTS, ADDRINFO, flags, family, kind, protocol, 0, 0, 0, 0, 0)
    put_nodes(probe, room)
    return probe("sock_getaddrinfo", NODE, len(node), SERVICE, len(service), HINTS, OUT, room, OUT2)


def found(probe: Probe, index: int = 0) -> tuple[int, int, int, bytes]:
    """family, type, address length and data of a node."""
    _, family, kind, _, length, address, *_ = probe.unpack(NODES + 28 * index, ADDRINFO)
    tag, size, data = probe.unpack(address, SOCKADDR)
    assert tag == family
    return family, kind, length, probe.read(data, size)


@pytest.mark.parametrize("ending", [b"", b"\0"])
def test_an_ipv4_address(probe: Probe, ending: bytes) -> None:
    assert look_up(probe, b"127.0.0.1" + ending, b"80" + ending) == 0
    assert probe.u32(OUT2) == 1
    data = (80).to_bytes(2, "big") + LOOPBACK[INET4] + bytes(8)
    assert found(probe) == (INET4, STREAM, 16, data)


def test_an_ipv6_address(probe: Probe) -> None:
    assert look_up(probe, b"::1", b"443") == 0
    data = (443).to_bytes(2, "big") + bytes(4) + LOOPBACK[INET6] + bytes(4)
    assert found(probe) == (INET6, STREAM, 28, data)


def test_a_name(probe: Probe) -> None:
    assert look_up(probe, b"localhost", family=INET4) == 0
    assert found(probe)[3][2:6] == LOOPBACK[INET4]


def test_a_service_alone(probe: Probe) -> None:
    assert look_up(probe, b"", b"8080", flags=PASSIVE, family=INET4) == 0
    assert found(probe)[3][:6] == (8080).to_bytes(2, "big") + bytes(4)


def test_a_canonical_name_with_its_end(probe: Probe) -> None:
    assert look_up(probe, flags=CANONNAME | NUMERICHOST) == 0
    *_, name, length, _ = probe.unpack(NODES, ADDRINFO)
    assert probe.read(name, length + 1) == b"127.0.0.1\0"


def test_no_more_answers_than_there_is_room_for(probe: Probe) -> None:
    assert look_up(probe, kind=0, room=4) == 0
    kinds = {found(probe, index)[1] for index in range(probe.u32(OUT2))}
    assert kinds == {STREAM, DGRAM}  # raw sockets have no type in WASI
    assert look_up(probe, kind=0, room=1) == 0
    assert probe.u32(OUT2) == 1


def test_a_list_that_ends_early_or_never(probe: Probe) -> None:
    look_up(probe, kind=0, room=1)
    arguments = (NODE, 9, SERVICE, 2, HINTS, OUT)
    assert probe("sock_getaddrinfo", *arguments, 4, OUT2) == 0
    assert probe.u32(OUT2) == 1
    probe.pack(NODES + 24, "I", NODES)
    assert probe("sock_getaddrinfo", *arguments, 0xFFFFFFFF, OUT2) == 0
    assert probe.u32(OUT2) == 2


@pytest.mark.parametrize(
    ("options", "errno"),
    [
        ({"node": b"", "service": b""}, Errno.AINONAME),
        ({"node": b"\0", "service": b"\0"}, Errno.AINONAME),
        ({"room": 0}, Errno.AIMEMORY),
        ({"flags": 128}, Errno.AIBADFLAG),
        ({"flags": CANONNAME, "node": b""}, Errno.AIBADFLAG),
        ({"family": 3}, Errno.AIFAMILY),
        ({"kind": 3}, Errno.NOSYS),
        ({"protocol": 3}, Errno.NOSYS),
        ({"node": b"not numeric", "flags": NUMERICHOST}, Errno.AINONAME),
        ({"service": b"no such service"}, Errno.AISERVICE),
        ({"service": b"http", "flags": NUMERICSERV}, Errno.AINONAME),
        ({"node": b"\xff\xfe"}, Errno.AINONAME),
        ({"node": b"::1", "family": INET4}, Errno.AIADDRFAMILY),
    ],
    ids=str,
)
def test_errnos(probe: Probe, options: dict[str, int], errno: Errno) -> None:
    assert look_up(probe, **options) == errno  # type: ignore[arg-type]


@pytest.mark.parametrize("argument", [4, 5, 7])
def test_misaligned_pointers(probe: Probe, argument: int) -> None:
    arguments = [NODE, 9, SERVICE, 2, HINTS, OUT, 1, OUT2]
    arguments[argument] += 2
    assert probe("sock_getaddrinfo", *arguments) == Errno.ADDRNOTAVAIL


@pytest.mark.parametrize("argument", [0, 2, 4, 5, 7])
def test_pointers_outside_memory(probe: Probe, argument: int) -> None:
    arguments = [NODE, 9, SERVICE, 2, HINTS, OUT, 1, OUT2]
    arguments[argument] = FAR
    assert probe("sock_getaddrinfo", *arguments) == Errno.FAULT


@pytest.mark.parametrize(("at", "what"), [(NODES + 12, FAR), (SOCKADDRS + 8, FAR), (OUT, FAR)])
def test_nodes_outside_memory(probe: Probe, at: int, what: int) -> None:
    look_up(probe)
    probe.pack(at, "I", what)
    assert probe("sock_getaddrinfo", NODE, 9, SERVICE, 2, HINTS, OUT, 1, OUT2) == Errno.FAULT


def test_networks_that_reach_nothing_ask_no_name_server(tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    for network in (
        HostNetwork(connect=[]),
        PrivateNetwork(tmp_path_factory.mktemp("n")),
    ):
        with Probe(network=network) as probe:
            assert look_up(probe, b"example.com") == Errno.AINONAME
            assert look_up(probe, b"127.0.0.1") == 0


class FailingNetwork(HostNetwork):
    """Its resolver answers an error."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self._error = error

    def resolve(self, query: Query) -> list[Found]:
        if query.flags & socket.AI_NUMERICHOST:
            return super().resolve(query)
        raise self._error


@pytest.mark.parametrize(
    ("name", "errno"),
    [
        ("EAI_ADDRFAMILY", Errno.AIADDRFAMILY),
        ("EAI_AGAIN", Errno.AIAGAIN),
        ("EAI_BADFLAGS", Errno.AIBADFLAG),
        ("EAI_FAIL", Errno.AIFAIL),
        ("EAI_FAMILY", Errno.AIFAMILY),
        ("EAI_MEMORY", Errno.AIMEMORY),
        ("EAI_NODATA", Errno.AINODATA),
        ("EAI_NONAME", Errno.AINONAME),
        ("EAI_SERVICE", Errno.AISERVICE),
        ("EAI_SOCKTYPE", Errno.AISOCKTYPE),
        ("EAI_SYSTEM", Errno.AISYSTEM),
    ],
)
def test_errnos_of_the_resolver(name: str, errno: Errno) -> None:
    network = FailingNetwork(socket.gaierror(getattr(socket, name), "failed"))
    with Probe(network=network) as probe:
        assert look_up(probe, b"failing.example") == errno


class SlowNetwork(HostNetwork):
    """Its name server answers late."""

    def __init__(self, answer: threading.Event) -> None:
        super().__init__()
        self._answer = answer

    def resolve(self, query: Query) -> list[Found]:
        if query.flags & socket.AI_NUMERICHOST:
            return super().resolve(query)
        self._answer.wait(20)
        return super().resolve(query._replace(node=b"127.0.0.1"))


def test_a_name_that_takes_time() -> None:
    answer = threading.Event()
    threading.Timer(0.05, answer.set).start()
    with Probe(network=SlowNetwork(answer)) as probe:
        assert look_up(probe, b"slow.example") == 0
        assert found(probe)[3][2:6] == LOOPBACK[INET4]


def test_a_guest_that_looks_a_name_up_can_be_stopped() -> None:
    answer = threading.Event()
    with Probe(network=SlowNetwork(answer)) as probe:
        threading.Timer(0.05, probe.guest.stop).start()
        started = time.monotonic()
        with pytest.raises(GuestStopped):
            look_up(probe, b"slow.example")
        assert time.monotonic() - started < 1
    answer.set()
    join_lookups()


def lookups() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "getaddrinfo"]


def join_lookups() -> None:
    for thread in lookups():
        thread.join()


class StoppingNetwork(SlowNetwork):
    """Its name server stops the guest that asks, and answers late."""

    guest: Guest

    def resolve(self, query: Query) -> list[Found]:
        if not query.flags & socket.AI_NUMERICHOST:
            self.guest.stop()
        return super().resolve(query)


def test_lookups_that_guests_left_behind_are_bounded() -> None:
    answer = threading.Event()
    answers = []
    for _ in range(40):
        network = StoppingNetwork(answer)
        with Probe(network=network) as probe, suppress(GuestStopped):
            network.guest = probe.guest
            answers.append(look_up(probe, b"slow.example"))
    assert len(lookups()) == 32
    assert answers == [Errno.AIAGAIN] * 8
    answer.set()
    join_lookups()
    with Probe(network=SlowNetwork(answer)) as probe:
        assert look_up(probe, b"slow.example") == 0


LEAVES = """
import time
from guests.probe import Probe
from llamaedge_host import GuestStopped, HostNetwork

class Stuck(HostNetwork):
    def resolve(self, query):
        if query.flags:
            return super().resolve(query)
        probe.guest.stop()
        time.sleep(600)

with Probe(network=Stuck()) as probe:
    probe.write(0x140, b"stuck.example")
    probe.pack(0x180, "I", 0x1000)
    try:
        probe("sock_getaddrinfo", 0x140, 13, 0, 0, 0x100, 0x180, 1, 0x188)
    except GuestStopped:
        print("stopped")
"""


def test_a_process_does_not_wait_for_a_lookup_that_a_guest_left_behind() -> None:
    folder = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", LEAVES], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "stopped\n"), done.stderr
