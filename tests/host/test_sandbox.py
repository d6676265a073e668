"""A guest reaches its preopened folders, its environment and its network, and nothing else."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from guests.probe import Probe
from guests.sockets import DATA, OUT, put_vectors

from llamaedge_host import Preopen
from llamaedge_host.preview1.errnos import Errno

HOME, OTHER, READONLY = 3, 4, 5
NAME, NAME2, ROOM = 0x1000, 0x2000, 0x3000
FOLLOW = 1
CREATE, DIRECTORY, EXCLUSIVE, TRUNCATE = 1, 2, 4, 8
RIGHTS = (1 << 30) - 1
READ, WRITE = 1 << 1, 1 << 6
SECRET = b"not for the guest"
HELD = {Errno.PERM, Errno.NOTCAPABLE, Errno.ACCES, Errno.LOOP, Errno.NOENT, Errno.INVAL}

OUTSIDE = [
    "../secret",
    "folder/../../secret",
    "./../secret",
    "..",
    "../",
    "folder/../..",
    "/secret",
    "/etc/passwd",
    "//etc/passwd",
    "up/secret",
    "folder/up/secret",
    "link",
    "folder/link",
    "absolute",
    "chain",
    "folder/../link",
    "link/",
    "proc/self/environ",
]
"""Paths that lead out of the folder: by dots, from the root, through links of the host's."""


class Sandbox:
    def __init__(self, probe: Probe, root: Path) -> None:
        self.probe = probe
        self.root = root
        self.secret = root / "secret"

    def name(self, path: str, at: int = NAME) -> tuple[int, int]:
        data = path.encode()
        self.probe.write(at, data)
        return at, len(data)

    def open(
        self,
        path: str,
        *,
        fd: int = HOME,
        flags: int = 0,
        rights: int = RIGHTS,
        follow: int = FOLLOW,
    ) -> int:
        where = self.name(path)
        return self.probe("path_open", fd, follow, *where, flags, rights, rights, 0, OUT)

    def opened(self, path: str, **options: int) -> int:
        assert self.open(path, **options) == 0
        return self.probe.u32(OUT)

    def read(self, path: str) -> bytes:
        fd = self.opened(path, rights=READ)
        assert self.probe("fd_read", fd, *put_vectors(self.probe, 256), OUT) == 0
        return self.probe.read(DATA, self.probe.u32(OUT))


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """Three preopened folders beside a secret, with links of the host's that lead out."""
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET)
    home, other, readonly = (tmp_path / name for name in ("home", "other", "readonly"))
    for folder in (home, other, readonly):
        folder.mkdir()
        (folder / "file").write_bytes(b"inside")
    (home / "folder").mkdir()
    (home / "link").symlink_to("../secret")
    (home / "chain").symlink_to("folder/link")
    (home / "folder" / "link").symlink_to("../../secret")
    (home / "up").symlink_to("..")
    (home / "folder" / "up").symlink_to(tmp_path)
    (home / "absolute").symlink_to(secret)
    (home / "proc").symlink_to("/proc")
    (home / "inside").symlink_to("folder/../file")
    dirs = [Preopen(home, "home"), Preopen(other, "other"), Preopen(readonly, "readonly", True)]
    with Probe(dirs=dirs, env={"GIVEN": "value"}, args=["one"]) as probe:
        yield Sandbox(probe, tmp_path)
    assert secret.read_bytes() == SECRET
    names = {"secret", "home", "other", "readonly"}
    assert {each.name for each in tmp_path.iterdir()} == names


@pytest.mark.parametrize("path", OUTSIDE)
@pytest.mark.parametrize("flags", [0, CREATE, CREATE | TRUNCATE, DIRECTORY], ids=bin)
def test_opening_what_lies_outside(sandbox: Sandbox, path: str, flags: int) -> None:
    for rights in (READ, READ | WRITE, RIGHTS):
        assert sandbox.open(path, flags=flags, rights=rights) in HELD | {Errno.NOTDIR, Errno.ISDIR}


@pytest.mark.parametrize("path", OUTSIDE)
def test_other_calls_on_what_lies_outside(sandbox: Sandbox, path: str) -> None:
    probe, held = sandbox.probe, HELD | {Errno.NOTDIR, Errno.EXIST, Errno.ISDIR, Errno.NOTEMPTY}
    where = sandbox.name(path)
    assert probe("path_filestat_get", HOME, FOLLOW, *where, ROOM) in held
    assert probe("path_filestat_set_times", HOME, FOLLOW, *where, 0, 0, 0b101) in held
    assert probe("path_create_directory", HOME, *where) in held
    if path not in ("link", "folder/link", "absolute", "chain", "folder/../link"):
        assert probe("path_readlink", HOME, *where, ROOM, 256, OUT) in held
        assert probe("path_unlink_file", HOME, *where) in held
    assert probe("path_remove_directory", HOME, *where) in held
    new = sandbox.name("new", NAME2)
    for link_flags in (0, FOLLOW):
        if path not in ("link", "folder/link", "absolute", "chain", "folder/../link"):
            assert probe("path_link", HOME, link_flags, *where, HOME, *new) in held
    assert (
        probe("path_link", HOME, 0, *sandbox.name("file"), HOME, *sandbox.name(path, NAME2)) in held
    )


@pytest.mark.parametrize("path", ["../stolen", "/tmp/stolen", "up/stolen", "folder/up/stolen"])
def test_moving_a_file_out(sandbox: Sandbox, path: str) -> None:
    probe = sandbox.probe
    out = sandbox.name(path, NAME2)
    for name in ("path_rename", "path_link"):
        file = sandbox.name("file")
        arguments = (HOME, *file, HOME, *out)
        if name == "path_link":
            arguments = (HOME, 0, *file, HOME, *out)
        assert probe(name, *arguments) in HELD
    assert (
        probe("path_rename", HOME, *sandbox.name("../secret"), HOME, *sandbox.name("s", NAME2))
        in HELD
    )
    assert (
        probe("path_rename", HOME, *sandbox.name("file"), OTHER, *sandbox.name("../s", NAME2))
        in HELD
    )


def test_moving_between_folders_stays_inside(sandbox: Sandbox) -> None:
    probe = sandbox.probe
    moved = sandbox.name("moved", NAME2)
    assert probe("path_rename", HOME, *sandbox.name("file"), OTHER, *moved) == 0
    assert (sandbox.root / "other" / "moved").read_bytes() == b"inside"
    assert probe("path_rename", OTHER, *sandbox.name("moved"), READONLY, *moved) != 0
    assert probe("path_rename", READONLY, *sandbox.name("file"), OTHER, *moved) != 0


@pytest.mark.parametrize("target", ["../secret", "..", "/etc", "/proc/self", "folder/../../secret"])
def test_links_that_the_guest_makes_lead_nowhere(sandbox: Sandbox, target: str) -> None:
    made = sandbox.probe("path_symlink", *sandbox.name(target), HOME, *sandbox.name("own", NAME2))
    assert made in HELD | {0}
    assert sandbox.open("own") in HELD
    assert sandbox.open("own/secret") in HELD
    assert sandbox.open("own/passwd") in HELD


def test_a_link_exchanged_while_it_is_followed(sandbox: Sandbox) -> None:
    """A rename between a check and its use must not help."""
    swap = sandbox.root / "home" / "swap"
    for _ in range(200):
        swap.mkdir()
        assert sandbox.open("swap/secret", rights=READ) in HELD
        swap.rmdir()
        swap.symlink_to("..")
        assert sandbox.open("swap/secret", rights=READ) in HELD
        swap.unlink()


def test_a_folder_that_moves_out_does_not_take_the_guest_along(sandbox: Sandbox) -> None:
    fd = sandbox.opened("folder", flags=DIRECTORY, rights=RIGHTS & ~WRITE)
    assert sandbox.open("..", fd=fd, flags=DIRECTORY, rights=READ) in HELD
    assert sandbox.open("../file", fd=fd) in HELD
    (sandbox.root / "home" / "folder").rename(sandbox.root / "folder")
    assert sandbox.open("../secret", fd=fd) in HELD
    (sandbox.root / "folder").rename(sandbox.root / "home" / "folder")


def test_what_lies_inside_is_reached(sandbox: Sandbox) -> None:
    for path in ("file", "./file", "folder/../file", "inside", "folder//..//file"):
        assert sandbox.read(path) == b"inside"
    (sandbox.root / "home" / "hard").hardlink_to(sandbox.root / "home" / "file")
    assert sandbox.read("hard") == b"inside"


WRITES = {
    "create": lambda box: box.open("new", fd=READONLY, flags=CREATE),
    "truncate": lambda box: box.open("file", fd=READONLY, flags=TRUNCATE),
    "mkdir": lambda box: box.probe("path_create_directory", READONLY, *box.name("new")),
    "unlink": lambda box: box.probe("path_unlink_file", READONLY, *box.name("file")),
    "symlink": lambda box: box.probe(
        "path_symlink", *box.name("file"), READONLY, *box.name("new", NAME2)
    ),
    "rename": lambda box: box.probe(
        "path_rename", READONLY, *box.name("file"), READONLY, *box.name("new", NAME2)
    ),
    "times": lambda box: box.probe(
        "path_filestat_set_times", READONLY, 0, *box.name("file"), 0, 0, 0b101
    ),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_nothing_is_written_under_a_readonly_folder(sandbox: Sandbox, write) -> None:  # type: ignore[no-untyped-def]
    status = (sandbox.root / "readonly" / "file").stat()
    assert write(sandbox) in {Errno.PERM, Errno.NOTCAPABLE, Errno.ROFS, Errno.ACCES, Errno.BADF}
    assert [each.name for each in (sandbox.root / "readonly").iterdir()] == ["file"]
    assert (sandbox.root / "readonly" / "file").stat() == status


def test_a_readonly_file_takes_no_writes(sandbox: Sandbox) -> None:
    errno = sandbox.open("file", fd=READONLY, rights=READ | WRITE)
    if errno == 0:
        fd = sandbox.probe.u32(OUT)
        written = sandbox.probe("fd_write", fd, *put_vectors(sandbox.probe, b"x"), OUT)
        assert written in {Errno.BADF, Errno.PERM, Errno.NOTCAPABLE}
    assert (sandbox.root / "readonly" / "file").read_bytes() == b"inside"


def test_the_environment_is_what_was_given(sandbox: Sandbox) -> None:
    os.environ["LLAMAEDGE_TEST_SECRET"] = "x"
    probe = sandbox.probe
    assert probe("environ_sizes_get", OUT, OUT + 4) == 0
    assert probe.unpack(OUT, "II") == (1, len("GIVEN=value\0"))
    assert probe("environ_get", OUT, ROOM) == 0
    assert probe.read(ROOM, 12) == b"GIVEN=value\0"
    del os.environ["LLAMAEDGE_TEST_SECRET"]


def test_no_folder_without_a_preopen() -> None:
    with Probe() as probe:
        assert probe("fd_prestat_get", 3, OUT) == Errno.BADF
        box = Sandbox(probe, Path())
        for fd in (0, 1, 2, 3, 4, 100):
            for path in ("/etc/passwd", "etc/passwd", "."):
                assert box.open(path, fd=fd) in HELD | {Errno.BADF, Errno.NOTDIR}
