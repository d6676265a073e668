"""Arguments and environment reach a guest byte for byte."""

import os
from typing import Any

import pytest
from guests.probe import Probe
from guests.sockets import OUT

from llamaedge_host import HostError

POINTERS, STRINGS = 0x1000, 0x4000


def strings(probe: Probe, what: str) -> list[bytes]:
    assert probe(f"{what}_sizes_get", OUT, OUT + 4) == 0
    count, size = probe.unpack(OUT, "II")
    assert probe(f"{what}_get", POINTERS, STRINGS) == 0
    starts = probe.unpack(POINTERS, f"{count}I")
    data = probe.read(STRINGS, size)
    return [data[start - STRINGS :].partition(b"\0")[0] for start in starts]


@pytest.mark.parametrize(
    "arguments",
    [[], [b""], [b"a", b"", b"b c"], [b"\xff\xfe", "ü".encode(), b"-x=\n"], [b"x" * 4000] * 20],
)
def test_arguments(arguments: list[bytes]) -> None:
    with Probe(args=[os.fsdecode(each) for each in arguments]) as probe:
        assert strings(probe, "args") == [b"guest.wasm", *arguments]


@pytest.mark.parametrize(
    ("env", "entries"),
    [
        ({}, []),
        ({"A": "1", "B": ""}, [b"A=1", b"B="]),
        ({"A": os.fsdecode(b"\xff")}, [b"A=\xff"]),
        (["A=1", "A=2"], [b"A=1", b"A=2"]),
        (["Z", "=", "", "A=1=2"], [b"Z", b"=", b"", b"A=1=2"]),
    ],
)
def test_environment(env: Any, entries: list[bytes]) -> None:
    with Probe(env=env) as probe:
        assert strings(probe, "environ") == entries


@pytest.mark.parametrize("options", [{"args": ["a\0b"]}, {"env": {"A": "\0"}}, {"env": ["A\0=1"]}])
def test_a_nul_is_refused(options: Any) -> None:
    with pytest.raises(HostError, match="NUL"):
        Probe(**options)
