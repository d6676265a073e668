"""Conversations that outlive their process: state files, by themselves and of slots."""

import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.ggml.engine import keeper, store
from llamaedge_host.ggml.engine.engine import Engine
from llamaedge_host.ggml.errors import GgmlError
from llamaedge_host.ggml.graph import GgmlGraph
from llamaedge_host.ggml.keeping import Keeping
from llamaedge_host.nn import NnErrno, Target

from .conftest import run

TALKS = [b"%c the sea and the bird" % (97 + number) * 12 for number in range(4)]
KEYS = {"temp": 0, "ctx-size": 512, "threads": 1, "n-predict": 4, "ignore-eos": True}


@contextmanager
def serving(path: Path, keeping: Keeping | None = None, **keys: Any) -> Iterator[GgmlGraph]:
    """A graph as a new process would have it."""
    backend = GgmlBackend(parallel=2, keeping=keeping)
    settings = KEYS | {name.replace("_", "-"): value for name, value in keys.items()}
    graph = backend.load(path, Target.AUTO, json.dumps(settings))
    graph.backend = backend  # type: ignore[attr-defined]
    try:
        yield graph
    finally:
        graph.close()
        backend.close()


def engine(graph: GgmlGraph) -> Engine:
    found = graph.engine()
    assert isinstance(found, Engine)
    return found


def ask(graph: GgmlGraph, talk: bytes) -> tuple[bytes, int]:
    """The answer, and how much of the prompt was known."""
    before = engine(graph).counters.prompt_tokens_reused
    context = graph.context()
    answer = run(context, talk)
    context.close()
    return answer, engine(graph).counters.prompt_tokens_reused - before


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.kv"))


@pytest.fixture
def kept(tmp_path: Path) -> Keeping:
    return Keeping(folder=tmp_path / "kept")


@pytest.fixture
def folder(kept: Keeping) -> Path:
    assert kept.folder is not None
    return kept.folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    from ..models import tiny

    return tiny.llama(tmp_path / "m.gguf")


def test_a_conversation_goes_on_in_the_next_process(
    model: Path, kept: Keeping, folder: Path
) -> None:
    with serving(model, kept) as graph:
        first, known = ask(graph, TALKS[0])
        assert known == 0
    (file,) = files(folder)
    assert file.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    with serving(model, kept) as graph:
        assert engine(graph).counters.restored == 0
        second, known = ask(graph, TALKS[0] + first + b" and")
        assert known > 60
        assert engine(graph).counters.restored == 1
    with serving(model) as graph:
        assert ask(graph, TALKS[0] + first + b" and")[0] == second


def test_a_longer_conversation_takes_the_place_of_its_beginning(
    model: Path, kept: Keeping, folder: Path
) -> None:
    with serving(model, kept) as graph:
        ask(graph, TALKS[0])
    (short,) = files(folder)
    with serving(model, kept, n_predict=9) as graph:
        ask(graph, TALKS[0])
    (long,) = files(folder)
    assert long.stat().st_size > 0 and long != short
    with serving(model, kept) as graph:
        ask(graph, TALKS[0])
    assert files(folder) == [long]


def test_what_rests_is_written_while_the_process_runs(
    model: Path, kept: Keeping, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "REST", 0.05)
    with serving(model, kept) as graph:
        ask(graph, TALKS[0])
        ask(graph, TALKS[1])
        deadline = time.monotonic() + 20
        while len(files(folder)) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        times = {each: each.stat().st_mtime_ns for each in files(folder)}
        time.sleep(0.3)
        assert {each: each.stat().st_mtime_ns for each in files(folder)} == times


def test_what_memory_has_no_room_for_goes_to_files(
    model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "REST", 0.05)
    with serving(model, Keeping(ram=0, folder=folder)) as graph:
        assert engine(graph)._swap.limit == 0
        for talk in TALKS:
            ask(graph, talk)
            deadline = time.monotonic() + 20
            while not any(_holds(graph, talk)):
                assert time.monotonic() < deadline
                time.sleep(0.02)
        assert ask(graph, TALKS[0])[1] > 60
        assert engine(graph).counters.restored == 1


def _holds(graph: GgmlGraph, talk: bytes) -> list[bool]:
    tokens = graph.model.vocabulary.tokenize(talk)
    kept = engine(graph)._cache.store
    assert kept is not None
    return [each.tokens[: len(tokens)] == tokens for each in kept.entries]


@pytest.mark.parametrize("other", ["model", "touched", "cache", "rope"])
def test_what_another_context_computed_is_never_restored(
    model: Path, kept: Keeping, tmp_path: Path, other: str
) -> None:
    with serving(model, kept) as graph:
        ask(graph, TALKS[0])
    keys: dict[str, Any] = {}
    if other == "model":
        data = bytearray(model.read_bytes())
        data[-1] ^= 1
        times = model.stat()
        model.write_bytes(data)
        os.utime(model, ns=(times.st_atime_ns, times.st_mtime_ns))
    elif other == "touched":
        os.utime(model)
    else:
        keys = {"cache": {"cache_type_k": 0}, "rope": {"rope_freq_base": 20000.0}}[other]
    with serving(model, kept, **keys) as graph:
        assert ask(graph, TALKS[0])[1] == 0
        assert engine(graph).counters.restored == 0


def test_another_llama_cpp_restores_nothing(
    model: Path, kept: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(model, kept) as graph:
        ask(graph, TALKS[0])
    monkeypatch.setattr("llamaedge_host.ggml.llama.identity.COMMIT", "another")
    with serving(model, kept) as graph:
        assert ask(graph, TALKS[0])[1] == 0


@pytest.mark.parametrize("damage", ["cut", "state", "tokens", "head", "empty", "long"])
def test_a_damaged_file_is_ignored_with_one_line(
    model: Path, kept: Keeping, folder: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    with serving(model, kept) as graph:
        answer, _ = ask(graph, TALKS[0])
    (file,) = files(folder)
    data = bytearray(file.read_bytes())
    at = {"state": len(data) - 9, "tokens": data.index(b"}") + 5, "head": 14}.get(damage)
    if at is not None:
        data[at] ^= 0x41
    file.write_bytes({"cut": data[:-5], "empty": b"", "long": data + b"x"}.get(damage, data))
    with caplog.at_level(logging.WARNING), serving(model, kept) as graph:
        assert ask(graph, TALKS[0]) == (answer, 0)
        lines = [each for each in caplog.messages if file.name in each]
        assert len(lines) == 1, caplog.messages
        assert "is ignored" in lines[0]
        assert ask(graph, TALKS[0])[1] > 60


def test_files_take_no_more_than_their_bound(model: Path, folder: Path) -> None:
    with serving(model, Keeping(folder=folder)) as graph:
        ask(graph, TALKS[0])
    (first,) = files(folder)
    size = first.stat().st_size
    other = folder / "0123456789abcdef-other.kv"
    other.write_bytes(bytes(size // 2))
    os.utime(other, (1, 1))
    with serving(model, Keeping(folder=folder, disk=size * 5 // 2)) as graph:
        ask(graph, TALKS[1])
        ask(graph, TALKS[2])
    assert sum(each.stat().st_size for each in files(folder)) <= size * 5 // 2
    assert first not in files(folder)
    assert other not in files(folder)
    assert len(files(folder)) == 2


@pytest.mark.parametrize("part", [1.5, 0.5], ids=["one of two", "none"])
def test_what_finds_no_room_is_not_written_again_and_again(
    model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, part: float
) -> None:
    with serving(model, Keeping(folder=folder)) as graph:
        ask(graph, TALKS[0])
    (file,) = files(folder)
    bound = int(file.stat().st_size * part)
    file.unlink()
    monkeypatch.setattr(keeper, "REST", 0.05)
    with serving(model, Keeping(folder=folder, disk=bound)) as graph:
        ask(graph, TALKS[1])
        ask(graph, TALKS[2])
        deadline = time.monotonic() + 20
        while engine(graph).ask(lambda: engine(graph)._keeper.patience()) is not None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert sum(each.stat().st_size for each in files(folder)) <= bound


def test_a_folder_that_others_may_write_to_is_refused(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with (
        pytest.raises(GgmlError, match=r"--cache-dir: .*open cannot be used: .*chmod 700"),
        serving(model, Keeping(folder=folder)),
    ):
        raise AssertionError
    with pytest.raises(GgmlError, match="cannot be used"):
        store.private_folder(model / "in a file", "--cache-dir")


def test_a_slot_is_saved_restored_and_erased(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "slot.kv"
    with serving(model) as graph:
        backend: GgmlBackend = graph.backend  # type: ignore[attr-defined]
        ask(graph, TALKS[0])
        (slot,) = [each for each in backend.slots() if each.tokens]
        tokens, size = backend.save_slot(slot.index, path)
        assert (tokens, size) == (slot.tokens, path.stat().st_size)
        assert path.stat().st_mode & 0o777 == 0o600
        assert backend.erase_slot(slot.index) == tokens
        assert [each.tokens for each in backend.slots()] == [0, 0]
        assert ask(graph, TALKS[0])[1] == 0
        other = 1 - slot.index
        assert backend.restore_slot(other, path) == (tokens, size)
        assert backend.slots()[other].tokens == tokens
    with serving(model) as graph:
        backend = graph.backend  # type: ignore[attr-defined]
        assert backend.restore_slot(0, path) == (tokens, size)
        assert ask(graph, TALKS[0])[1] > 60


def test_what_cannot_be_restored_says_why(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "slot.kv"
    with serving(model) as graph:
        ask(graph, TALKS[0])
        graph.backend.save_slot(0, path)  # type: ignore[attr-defined]
    with serving(model, cache_type_k=0) as graph:
        backend: GgmlBackend = graph.backend  # type: ignore[attr-defined]
        for file, why in ((path, "another model"), (tmp_path / "none", "No such file")):
            with pytest.raises(GgmlError, match=why) as caught:
                backend.restore_slot(0, file)
            assert caught.value.errno is NnErrno.INVALID_ARGUMENT
        with pytest.raises(GgmlError, match="there is no slot 2; the last one is 1"):
            backend.erase_slot(2)
        assert ask(graph, TALKS[1])[0]
    with serving(model, ctx_size=64) as graph, pytest.raises(GgmlError, match="a slot 64"):
        graph.backend.restore_slot(0, path)  # type: ignore[attr-defined]


def test_memory_without_attention_is_kept_whole(kept: Keeping, tmp_path: Path) -> None:
    from ..models import tiny

    mamba = tiny.mamba(tmp_path / "mamba.gguf")
    with serving(mamba, kept, n_predict=1) as graph:
        ask(graph, TALKS[0])
    with serving(mamba, kept) as graph:
        second, known = ask(graph, TALKS[0] + b" and the")
        assert known > 60
    with serving(mamba) as graph:
        assert ask(graph, TALKS[0] + b" and the")[0] == second
