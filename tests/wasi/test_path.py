"""The path functions where a directory is expected and a socket, or nothing, is given."""

from pathlib import Path

import pytest
from guests.files import PREOPENED
from guests.probe import Probe
from guests.sockets import DATA, OUT, open_socket

from llamaedge_host.preview1.errnos import Errno

ROOM = 0x6000
CALLS = {
    "path_create_directory": [lambda fd: (fd, DATA, 1)],
    "path_filestat_get": [lambda fd: (fd, 0, DATA, 1, ROOM)],
    "path_filestat_set_times": [lambda fd: (fd, 0, DATA, 1, 0, 0, 0b101)],
    "path_link": [
        lambda fd: (fd, 0, DATA, 1, PREOPENED, DATA, 1),
        lambda fd: (PREOPENED, 0, DATA, 1, fd, DATA, 1),
    ],
    "path_open": [lambda fd: (fd, 0, DATA, 1, 1, 0, 0, 0, OUT)],
    "path_readlink": [lambda fd: (fd, DATA, 1, ROOM, 8, OUT)],
    "path_remove_directory": [lambda fd: (fd, DATA, 1)],
    "path_rename": [
        lambda fd: (fd, DATA, 1, PREOPENED, DATA, 1),
        lambda fd: (PREOPENED, DATA, 1, fd, DATA, 1),
    ],
    "path_symlink": [lambda fd: (DATA, 1, fd, DATA, 1)],
    "path_unlink_file": [lambda fd: (fd, DATA, 1)],
}
forms = pytest.mark.parametrize(
    ("name", "form"), [(name, form) for name, forms in CALLS.items() for form in forms]
)


@forms
def test_a_socket_has_no_right_to_paths(folder: tuple[Probe, Path], name: str, form) -> None:  # type: ignore[no-untyped-def]
    probe, _ = folder
    probe.write(DATA, b"x")
    assert probe(name, *form(open_socket(probe))) == Errno.NOTCAPABLE
    assert probe(name, *form(65600)) == Errno.BADF


@pytest.mark.parametrize("name", CALLS)
def test_a_socket_in_a_directorys_place_does_not_lead_into_it(
    folder: tuple[Probe, Path], name: str
) -> None:
    probe, path = folder
    probe.write(DATA, b"x")
    assert probe("fd_renumber", open_socket(probe), PREOPENED) == 0
    for form in CALLS[name]:
        assert probe(name, *form(PREOPENED)) == Errno.NOTCAPABLE
    assert list(path.iterdir()) == []
