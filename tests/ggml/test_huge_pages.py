"""Weights that move into huge pages: the same bytes at the same places, whoever reads meanwhile."""

import ctypes
import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import gguf
import pytest

from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.ggml.graph import GgmlGraph
from llamaedge_host.ggml.llama import huge_pages
from llamaedge_host.ggml.llama.huge_pages import HUGE, HugePages, Mappings, mappings, possible
from llamaedge_host.ggml.llama.library import llama
from llamaedge_host.ggml.llama.memory import gpu_count
from llamaedge_host.nn import Target

from ..models import sized
from .conftest import run

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="huge pages are Linux's"),
    pytest.mark.skipif(not possible(), reason="the system lends no huge pages"),
    pytest.mark.skipif(gpu_count() > 0, reason="for processors alone"),
]

PROMPT = b"the sea and the bird"
KEYS = {"ctx-size": 256, "threads": 1, "temp": 0, "n-predict": 12, "ignore-eos": True}
Q4_0 = gguf.GGMLQuantizationType.Q4_0


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of some 14 MB, whose weights are computed with as they lie in the file."""
    path = tmp_path_factory.mktemp("huge") / "wide.gguf"
    return sized.llama(path, width=256, layers=4, feed=1024)


@contextmanager
def loaded(path: Path, **keys: Any) -> Iterator[GgmlGraph]:
    backend = GgmlBackend()
    graph = backend.load(path, Target.CPU, json.dumps(KEYS | keys))
    try:
        yield graph
    finally:
        graph.close()
        backend.close()


def said(graph: GgmlGraph) -> bytes:
    with closing(graph.context()) as context:
        return run(context, PROMPT)


def resident(begin: int) -> int:
    """Bytes of the mapping from ``begin`` on whose pages this process has."""
    text = Path("/proc/self/smaps").read_text().partition(f"{begin:x}-")[2]
    return int(text.partition("Rss:")[2].split()[0]) << 10


def bytes_at(begin: int, size: int) -> bytes:
    return ctypes.string_at(begin, size)


@pytest.fixture(scope="module")
def plain(path: Path) -> bytes:
    """What the model says as it is mapped, since there is too little memory for anything else."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(huge_pages, "available_memory", lambda: path.stat().st_size)
        with loaded(path) as graph:
            assert graph.model._huge_pages._thread.ident is None
            mapped = sum(size for size, _, _ in mappings([path]).values())
            assert mapped > path.stat().st_size - HUGE
            return said(graph)


def test_weights_move_and_say_the_same(
    path: Path, plain: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole: Mappings = {}
    begin = HugePages.begin

    def seen(pages: HugePages) -> None:
        whole.update(pages._mapped)
        begin(pages)

    monkeypatch.setattr(HugePages, "begin", seen)
    with loaded(path) as graph:
        pages = graph.model._huge_pages
        pages.wait()
        [(at, (size, offset, _))] = whole.items()
        assert offset + size >= path.stat().st_size
        assert pages.moved >= size - 3 * HUGE
        assert pages.moved % HUGE == 0
        assert sum(left for left, _, _ in mappings([path]).values()) == size - pages.moved
        assert bytes_at(at, path.stat().st_size - offset) == path.read_bytes()[offset:]
        assert said(graph) == plain
    assert not mappings([path])


def test_a_model_computes_while_its_weights_move(
    path: Path, plain: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huge_pages, "PIECE", HUGE)
    going, replace = threading.Event(), huge_pages._replace

    def slowly(begin: int, size: int, file: int, offset: int) -> None:
        going.wait(0.02)
        replace(begin, size, file, offset)

    monkeypatch.setattr(huge_pages, "_replace", slowly)
    with loaded(path) as graph:
        while graph.model._huge_pages._thread.is_alive():
            assert said(graph) == plain
        assert graph.model._huge_pages.moved > HUGE


def test_a_model_that_is_freed_is_let_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its place may be another's by then."""
    monkeypatch.setattr(huge_pages, "PIECE", HUGE)
    began, moved, freed = threading.Event(), [], []
    end, free = HugePages.end, llama.llama_model_free

    def one(begin: int, *_: int) -> None:
        moved.append(begin)
        began.set()
        ending.wait(60)

    def ended(pages: HugePages) -> None:
        threading.Timer(0.1, ending.set).start()
        end(pages)
        freed.append(pages._thread.is_alive())

    def free_too(model: ctypes.c_void_p) -> None:
        freed.append("model")
        free(model)

    ending = threading.Event()
    monkeypatch.setattr(huge_pages, "_replace", one)
    monkeypatch.setattr(HugePages, "end", ended)
    monkeypatch.setattr(llama, "llama_model_free", free_too)
    with loaded(path):
        assert began.wait(60)
    assert len(moved) == 1
    assert freed[-2:] == [False, "model"]
    assert True not in freed


def test_two_models_of_one_file_have_each_their_own(path: Path, plain: bytes) -> None:
    with loaded(path) as one:
        with loaded(path, **{"check-tensors": True}) as other:
            assert one.model is not other.model
            assert not one.model._huge_pages._mapped.keys() & other.model._huge_pages._mapped.keys()
            assert said(other) == plain
        assert said(one) == plain


@pytest.mark.parametrize("keys", [{"use-mmap": False}, {"use-mlock": True}])
def test_what_was_asked_for_is_obeyed(
    path: Path, plain: bytes, keys: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read into memory is not mapped, and what is locked stays as it is."""
    moved: list[int] = []
    monkeypatch.setattr(huge_pages, "_replace", lambda begin, *_: moved.append(begin))
    with loaded(path, **keys) as graph:
        graph.model._huge_pages.wait()
        assert not moved
        assert said(graph) == plain


def test_weights_that_llama_cpp_has_arranged_anew_are_not_copied_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it does depends on the processor: then the file is read once, and stays a file."""
    file = sized.llama(tmp_path / "quantised.gguf", width=512, layers=4, feed=2048, kind=Q4_0)
    moved: list[int] = []
    monkeypatch.setattr(huge_pages, "_replace", lambda begin, *_: moved.append(begin))
    with loaded(file, **{"use-mmap": False}) as graph:
        plain = said(graph)
    with loaded(file) as graph:
        pages = graph.model._huge_pages
        pages.wait()
        owned = sum(size for _, size in pages._allocated)
        assert bool(moved) == (owned < HUGE)
        if owned > HUGE:
            left = mappings([file])
            assert sum(map(resident, left)) < file.stat().st_size / 2
        assert said(graph) == plain


def test_a_file_that_ends_too_soon_leaves_the_mapping_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    freed: list[int] = []
    free = huge_pages._munmap
    monkeypatch.setattr(
        huge_pages, "_munmap", lambda begin, size: freed.append(size) or free(begin, size)
    )
    room = (ctypes.c_char * (3 * HUGE))()
    begin = ctypes.addressof(room) + -ctypes.addressof(room) % HUGE
    ctypes.memset(begin, 7, HUGE)
    file = os.open(path, os.O_RDONLY)
    with pytest.raises(OSError, match="shorter"):
        huge_pages._replace(begin, HUGE, file, path.stat().st_size - 10)
    os.close(file)
    assert freed == [2 * HUGE]  # all that it had taken
    assert bytes_at(begin, HUGE) == bytes([7]) * HUGE
