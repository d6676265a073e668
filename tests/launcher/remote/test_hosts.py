"""Which hosts may be asked for pictures, and at which addresses."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaedge_launcher.proxy.remote.hosts import Hosts, is_public, place_of

PRIVATE = (
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "198.18.0.1", "192.0.2.1", "224.0.0.1", "240.0.0.1"),
    *("255.255.255.255", "::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "2001:db8::1"),
    *("64:ff9b::a9fe:a9fe", "2001:0:4136:e378:8000:63bf:3fff:fdd2"),
)


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_of_the_public_internet(address: str) -> None:
    assert not is_public(ip_address(address))
    assert not Hosts(["any", "example.org"]).reach("example.org", address, 80)


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:4700::6810:84e5"])
def test_what_is(address: str) -> None:
    assert is_public(ip_address(address))
    assert Hosts(["any"]).reach("example.org", address, 443)


@given(st.integers(0, 2**32 - 1))
def test_an_address_inside_another_is_judged_as_itself(number: int) -> None:
    address = IPv4Address(number)
    for outer in (0xFFFF << 32, 0x64FF9B << 96):
        assert is_public(IPv6Address(outer + number)) == is_public(address)


@pytest.mark.parametrize(
    ("entry", "url", "allowed"),
    [
        ("example.org", "https://example.org/a.png", True),
        ("example.org", "http://example.org:80/a.png", True),
        ("Example.ORG", "http://EXAMPLE.org./a.png", True),
        ("example.org", "https://example.org:8443/", False),
        ("example.org", "https://example.org:80/", False),
        ("example.org", "https://www.example.org/", False),
        ("example.org", "https://example.org.evil.net/", False),
        ("example.org:8443", "https://example.org:8443/", True),
        ("example.org:8443", "https://example.org/", False),
        ("*.example.org", "https://a.b.example.org/", True),
        ("*.example.org", "https://example.org/", False),
        ("*.example.org", "https://notexample.org/", False),
        ("any", "https://whatever.net/", True),
        ("any", "https://whatever.net:81/", False),
        ("127.0.0.1:8000", "http://127.0.0.1:8000/", True),
        ("127.0.0.1:8000", "http://127.0.0.1:8001/", False),
        ("[::1]:8000", "http://[0:0:0:0:0:0:0:1]:8000/", True),
        ("b\u00fccher.example", "https://xn--bcher-kva.example/", True),
        ("93.184.216.34", "https://93.184.216.34/", True),
    ],
)
def test_an_entry_allows_what_it_names(entry: str, url: str, allowed: bool) -> None:
    assert Hosts([entry]).allow(place_of(url)) == allowed


def test_a_private_address_must_be_named_itself() -> None:
    hosts = Hosts(["127.0.0.1:8000", "localhost:8000", "any"])
    assert hosts.reach("127.0.0.1", "127.0.0.1", 8000)
    assert not hosts.reach("localhost", "127.0.0.1", 8000)
    assert not hosts.reach("127.0.0.1", "127.0.0.1", 80)
    assert not hosts.reach("127.0.0.1", "127.0.0.2", 8000)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("127.0.0.1", "with its port"),
        ("[::1]", "with its port"),
        ("example.org:0", "not a port"),
        ("example.org:x", "not a port"),
        ("https://example.org", "not a port"),
        ("a b", "not a host"),
        ("*", "not a host"),
        ("ex*mple.org", "not a host"),
        ("example.org/x", "not a host"),
        ("", "not a host"),
    ],
)
def test_what_names_no_host_is_refused(entry: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Hosts([entry])


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://example.org/a", "file:///etc/passwd", "gopher://example.org/", "http:///a.png"),
        *("https://me@example.org/", "https://me:secret@example.org/", "http://example.org:x/"),
        *("http://exa mple.org/", "http://[::1/", "//example.org/a.png", "http://*.example.org/"),
    ],
)
def test_what_leads_nowhere_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        place_of(url)


def test_a_place_is_told_without_its_query() -> None:
    place = place_of("https://Example.org/a b/\u00e4.png?key=secret#part")
    assert str(place) == "https://example.org/a%20b/%C3%A4.png"
    assert place.target == "/a%20b/%C3%A4.png?key=secret"
