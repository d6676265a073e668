"""The cache of compiled modules."""

from pathlib import Path

import pytest
from wasmtime import wat2wasm

from llamaedge_host import modules
from llamaedge_host.modules import EngineSettings

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
