import socket
from contextlib import ExitStack

import pytest

from llamaedge_launcher.address import Address, Addresses, listen
from llamaedge_launcher.errors import LauncherError


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("localhost:1", "localhost", 1),
        ("[::1]:65535", "::1", 65535),
        ("0.0.0.0:0", "0.0.0.0", 0),
    ],
)
def test_an_address_is_read_and_written_back(text: str, host: str, port: int) -> None:
    assert Address.parse(text) == Address(host, port)
    assert str(Address(host, port)) == text


def test_several_are_written_with_commas() -> None:
    given = "127.0.0.1:81,[::1]:82"
    addresses = Addresses.parse(given)
    assert addresses.each == (Address("127.0.0.1", 81), Address("::1", 82))
    assert str(addresses) == given
    with pytest.raises(ValueError, match="expected HOST:PORT"):
        Addresses.parse("127.0.0.1:81,")


def test_all_are_listened_on_or_none() -> None:
    with ExitStack() as sockets:
        first, second = map(sockets.enter_context, listen([Address(port=0)] * 2))
        taken = Address(port=second.getsockname()[1])
        free = Address("127.0.0.2", first.getsockname()[1])
        with pytest.raises(LauncherError, match="another program uses it"):
            listen([free, taken])
        sockets.enter_context(free.listen())


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_every_address_of_both_kinds_may_be_named() -> None:
    with ExitStack() as sockets:
        everywhere = sockets.enter_context(Address("0.0.0.0", 0).listen())
        port = everywhere.getsockname()[1]
        both = listen([Address(port=0), Address("::", port)])
        families = [sockets.enter_context(each).family for each in both]
        assert families == [socket.AF_INET, socket.AF_INET6]


@pytest.mark.parametrize(
    "text", ["", "8080", ":8080", "a:", "a:b", "a:65536", "a:-1", "a:1_0", "::1:80", "a:²"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Address.parse(text)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.1", False),
        ("example.org", False),
    ],
)
def test_what_other_machines_reach(host: str, loopback: bool) -> None:
    assert Address(host).is_loopback is loopback


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LauncherError, match=f"127.0.0.1:{port}: another program uses it"):
            Address(port=port).listen()


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(LauncherError, match=f"cannot listen on {host}:0: "):
        Address(host, 0).listen()
