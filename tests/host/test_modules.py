"""The cache of compiled modules."""

import ctypes
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from llamaedge_host import Guest, modules
from llamaedge_host.module_cache import ABANDONED, ModuleCache
from llamaedge_host.modules import EngineSettings
from llamaedge_host.whole_file import PREFIX, write_whole

WASM = bytes(wat2wasm('(module (func (export "f") (result i32) (i32.const 1)))'))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLAMAEDGE_CACHE_DIR", str(tmp_path))
    return tmp_path / "modules"


def load(wasm: bytes = WASM, settings: EngineSettings = EngineSettings()) -> None:  # noqa: B008
    modules.load(settings.engine(), settings, wasm, "test")


def test_a_module_is_compiled_once(folder: Path) -> None:
    load()
    (first,) = folder.iterdir()
    inode = first.stat().st_ino
    load()
    assert [each.stat().st_ino for each in folder.iterdir()] == [inode]


def test_guests_that_start_together_compile_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = []
    original = modules.Module

    class Slow(original):  # type: ignore[misc, valid-type]
        def __init__(self, *given: object) -> None:
            compiled.append(1)
            time.sleep(0.2)
            super().__init__(*given)

    monkeypatch.setattr(modules, "Module", Slow)
    threads = [threading.Thread(target=load) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(compiled) == 1


def test_settings_and_content_have_files_of_their_own(folder: Path) -> None:
    load()
    load(settings=EngineSettings(fuel=True))
    load(bytes(wat2wasm("(module)")))
    assert len(list(folder.iterdir())) == 3


def test_a_broken_file_is_replaced_not_written_over(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    load()
    (path,) = folder.iterdir()
    good, inode = path.read_bytes(), path.stat().st_ino
    path.write_bytes(good[:100])
    load()
    assert "compiling again" in caplog.text
    assert path.read_bytes()[:100] == good[:100]
    assert len(path.read_bytes()) == len(good)
    assert path.stat().st_ino != inode


def test_a_folder_that_others_can_write_is_not_used(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    load()
    assert "others can write" in caplog.text
    assert not list(folder.iterdir())


def test_the_folder_is_private(folder: Path) -> None:
    load()
    assert folder.stat().st_mode & 0o077 == 0


FULL_DISK = """
import resource, sys
from pathlib import Path
from wasmtime import wat2wasm
from llamaedge_host import Guest
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
with Guest(bytes(wat2wasm('(module (func (export "f") (result i32) (i32.const 7)))'))) as guest:
    sys.exit(guest.call("f"))
"""


MEMORY = """
import sys
from pathlib import Path
from llamaedge_host import modules
settings, wasm = modules.EngineSettings(), Path(sys.argv[1]).read_bytes()
module = modules.load(settings.engine(), settings, wasm, "test")
print(Path("/proc/self/smaps_rollup").read_text().split("Anonymous:")[1].split()[0])
"""


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_trim") or not Path("/proc/self/smaps_rollup").exists(),
    reason="the memory that a process allocated is glibc's to give back, and Linux's to tell",
)
def test_a_process_that_compiled_has_the_memory_of_one_that_did_not(
    folder: Path, tmp_path: Path
) -> None:
    steps = " ".join(f"(local.set 0 (i32.add (local.get 0) (i32.load offset={at} (local.get 0))))"
                     for at in range(400))  # fmt: skip
    function = f"(func (param i32) (result i32) {steps} (local.get 0))"
    (tmp_path / "large.wasm").write_bytes(wat2wasm(f"(module (memory 1) {function * 1000})"))
    command = [sys.executable, "-c", MEMORY, str(tmp_path / "large.wasm")]
    compiled, found = (
        int(subprocess.run(command, capture_output=True, check=True, timeout=300).stdout)
        for _ in range(2)
    )
    assert len(list(folder.iterdir())) == 1
    assert compiled - found < 10_000, "KB; 40,000 if what compiling took is not given back"


def test_a_full_disk_leaves_nothing_and_the_guest_runs(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 7
    assert "the compiled module is not cached" in done.stderr
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("LLAMAEDGE_CACHE_DIR", str(file))
    load()
    load()
    assert len(caplog.records) == 1
    assert str(file) in caplog.text


def store(cache: ModuleCache, folder: Path, *keys: str) -> None:
    """Modules of 100 bytes, each used a second after the one before."""
    for key in keys:
        cache.store(key, bytes(100))
    for age, key in enumerate(reversed(keys)):
        if (folder / key).exists():
            then = time.time() - 60 - age
            os.utime(folder / key, (then, then))


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def test_what_was_used_last_stays_within_the_bound(tmp_path: Path) -> None:
    cache = ModuleCache(tmp_path, most_bytes=350)
    store(cache, tmp_path, "a", "b", "c")
    assert names(tmp_path) == {"a", "b", "c"}
    assert cache.find("a") == tmp_path / "a"
    cache.store("d", bytes(100))
    assert names(tmp_path) == {"a", "c", "d"}
    assert cache.find("b") is None
    cache.store("e", bytes(240))
    assert names(tmp_path) == {"e", "d"} or names(tmp_path) == {"e", "a"}
    cache.store("too large", bytes(400))
    assert names(tmp_path) == {"too large"}


def test_what_a_killed_process_was_writing_goes(tmp_path: Path) -> None:
    cache = ModuleCache(tmp_path)
    old, new = tmp_path / f"{PREFIX}old", tmp_path / f"{PREFIX}new"
    old.touch()
    new.touch()
    then = time.time() - ABANDONED - 60
    os.utime(old, (then, then))
    cache.store("a", b"code")
    assert names(tmp_path) == {new.name, "a"}


def test_a_guest_keeps_the_module_that_is_removed(folder: Path) -> None:
    load()
    with Guest(WASM) as guest:
        for each in folder.iterdir():
            each.unlink()
        assert guest.call("f") == 1


def test_a_file_that_is_removed_in_between_is_compiled_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    load()
    find, found = ModuleCache.find, list[Path | None]()

    def removed_at_first(cache: ModuleCache, key: str) -> Path | None:
        path = find(cache, key)
        if path is not None and not found:
            path.unlink()
        found.append(path)
        return path

    monkeypatch.setattr(ModuleCache, "find", removed_at_first)
    load()
    assert caplog.text == ""
    assert found[0] is not None
    assert len(names(folder)) == 1


def test_processes_may_prune_side_by_side(tmp_path: Path) -> None:
    caches = [ModuleCache(tmp_path, most_bytes=500) for _ in range(4)]

    def work(number: int) -> None:
        for each in range(60):
            caches[number].store(f"{number}-{each % 7}", bytes(100))
            caches[number].find(f"{each % 4}-{each % 7}")

    threads = [threading.Thread(target=work, args=(each,)) for each in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    caches[0].store("last", bytes(100))
    assert "last" in names(tmp_path)
    assert sum(each.stat().st_size for each in tmp_path.iterdir()) <= 500


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old")
    with path.open("rb") as opened:
        write_whole(path, b"new", mode=0o644)
        assert (opened.read(), path.read_bytes()) == (b"old", b"new")
    assert path.stat().st_mode & 0o777 == 0o644
    with pytest.raises(TypeError):
        write_whole(path, "no bytes")  # type: ignore[arg-type]
    assert names(tmp_path) == {"file"}
    assert path.read_bytes() == b"new"
