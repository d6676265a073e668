"""Files that a guest names to the host lie in its own directories."""

import os
from pathlib import Path

import pytest

from llamaedge_host.files import NO_FILES, Files
from llamaedge_host.preopen import Preopen


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_bytes(b"secret")
    return folder


@pytest.fixture
def inside(tmp_path: Path, outside: Path) -> Path:
    folder = tmp_path / "inside"
    (folder / "sub").mkdir(parents=True)
    (folder / "a").write_bytes(b"abc")
    (folder / "sub" / "b").write_bytes(b"b")
    (folder / "link").symlink_to(outside / "secret")
    (folder / "way").symlink_to(outside)
    os.mkfifo(folder / "pipe")
    return folder


@pytest.fixture
def files(inside: Path, tmp_path: Path) -> Files:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "c").write_bytes(b"c")
    return Files([Preopen(inside, "."), Preopen(tmp_path / "other", "/data/other", readonly=True)])


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("a", b"abc"),
        ("/a", b"abc"),
        ("./sub/../a", b"abc"),
        ("../../a", b"abc"),
        ("sub/b", b"b"),
        ("data/other/c", b"c"),
        ("/data//other/./c", b"c"),
    ],
)
def test_a_file_is_found_by_the_guests_path(files: Files, path: str, content: bytes) -> None:
    assert files.read(path, 100) == content


def test_no_more_is_read_than_asked(files: Files) -> None:
    assert files.read("a", 2) == b"ab"


@pytest.mark.parametrize(
    "path",
    [
        "link",
        "way/secret",
        "../outside/secret",
        "pipe",
        "sub",
        "",
        "/",
        ".",
        "none",
        "a/b",
        "x" * 300,
    ],
)
def test_nothing_else_is_reached(files: Files, outside: Path, path: str) -> None:
    with pytest.raises(OSError):
        files.read(path, 100)
    if path != "none":
        with pytest.raises(OSError):
            files.write(path, b"overwritten")
    assert (outside / "secret").read_bytes() == b"secret"


def test_the_host_path_is_not_the_guests(files: Files, outside: Path) -> None:
    with pytest.raises(OSError):
        files.read(str(outside / "secret"), 100)
    with pytest.raises(OSError):
        NO_FILES.read(str(outside / "secret"), 100)


def test_writing_makes_or_replaces_a_file(files: Files, inside: Path) -> None:
    files.write("new", b"one")
    files.write("a", b"z")
    assert ((inside / "new").read_bytes(), (inside / "a").read_bytes()) == (b"one", b"z")


def test_a_readonly_directory_is_not_written_to(files: Files, tmp_path: Path) -> None:
    for name in ("c", "new"):
        with pytest.raises(PermissionError):
            files.write(f"data/other/{name}", b"x")
    assert (tmp_path / "other" / "c").read_bytes() == b"c"


def test_a_path_of_the_host_is_a_guests_or_named_on_the_command_line(
    inside: Path, outside: Path
) -> None:
    secret = str(outside / "secret")
    files = Files([Preopen(inside, "in")], named=["--llava-mmproj=" + secret, "x=a=b", "word"])
    assert files.host_path("/in/sub/b") == inside / "sub" / "b"
    assert files.host_path(secret) == outside / "secret"
    for path in ("a=b", "word", "x=a=b"):
        assert str(files.host_path(path)) == path
    for path in (f"{outside}/./secret", "in/link", "in/way/secret", "in/pipe", "in/none", "a", ""):
        with pytest.raises(OSError):
            files.host_path(path)
    other = str(inside / "a")
    assert files.naming([other]).host_path(other) == inside / "a"
    for kept in files, NO_FILES:
        with pytest.raises(PermissionError):
            kept.host_path(other)
