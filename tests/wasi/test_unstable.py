"""wasi_unstable: the functions that are the same, and the three that differ."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from guests.probe import Import, Probe
from guests.signatures import DESCRIPTORS, OTHERS
from guests.sockets import DATA, OUT, put_vectors

from llamaedge_host import LinkError, Preopen
from llamaedge_host.preview1.errnos import Errno

MODULE = "wasi_unstable"
SAME = {name: DESCRIPTORS[name] for name in DESCRIPTORS if name != "fd_filestat_get"} | OTHERS
IMPORTS: list[Import] = [
    *((MODULE, name, params, "i") for name, params in SAME.items()),
    (MODULE, "poll_oneoff", "iiii", "i"),
    (MODULE, "path_open", "iiiiiIIii", "i"),
    (MODULE, "sock_recv", "iiiiii", "i"),
    (MODULE, "sock_send", "iiiii", "i"),
    (MODULE, "sock_shutdown", "ii", "i"),
]
CURRENT, END, SET = 0, 1, 2


@pytest.fixture
def probe(tmp_path: Path) -> Iterator[Probe]:
    with Probe(imports=IMPORTS, dirs=[Preopen(tmp_path, ".")], args=["one"]) as made:
        yield made


def test_arguments(probe: Probe) -> None:
    assert probe("args_sizes_get", OUT, OUT + 4) == 0
    assert probe.u32(OUT) == 2


def test_seek_counts_whence_otherwise(probe: Probe) -> None:
    probe.write(DATA, b"file")
    assert probe("path_open", 3, 0, DATA, 4, 1, 102, 102, 0, OUT) == 0
    fd = probe.u32(OUT)
    assert probe("fd_write", fd, *put_vectors(probe, b"0123456789"), OUT) == 0
    for offset, whence, expected in ((4, SET, 4), (2, CURRENT, 6), (-1, END, 9)):
        assert probe("fd_seek", fd, offset, whence, OUT) == 0
        assert probe.unpack(OUT, "Q") == (expected,)
    assert probe("fd_seek", fd, 0, 3, OUT) == Errno.INVAL


def test_a_subscription_is_longer(probe: Probe) -> None:
    subscriptions, events = 0x1000, 0x2000
    probe.pack(subscriptions, "QB7xQI4xQQH6x", 1, 0, 77, 1, 20_000_000, 0, 0)
    probe.pack(subscriptions + 56, "QB7xI", 2, 1, 65600)
    assert probe("poll_oneoff", subscriptions, events, 2, OUT) == 0
    assert probe.u32(OUT) == 1
    assert probe.unpack(events, "QHB") == (2, Errno.BADF, 1)
    assert probe("poll_oneoff", subscriptions, events, 1, OUT) == 0
    assert probe.unpack(events, "QHB") == (1, 0, 0)


def test_what_is_not_the_same_is_not_there() -> None:
    imports: list[Import] = [(MODULE, "fd_filestat_get", "ii", "i")]
    with pytest.raises(LinkError, match=r"wasi_unstable\.fd_filestat_get"):
        Probe(imports=imports, strict_imports=True)
