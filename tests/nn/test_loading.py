"""How a guest comes to a model and its contexts."""

import struct
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llamaedge_host.errors import PreloadError
from llamaedge_host.nn import (
    Encoding,
    NeuralNetwork,
    NnErrno,
    Target,
    computing,
    graphs,
)

from .fakes import CONFIG, DATA, NAME, OUT, PRELOADS, FakeBackend, Guest


def test_a_name_is_loaded_once_and_its_second_configuration_ignored(guest: Guest) -> None:
    assert guest.load_by_name(b"m", b'{"temp":0}') == (0, 0)
    assert guest.load_by_name(b"n") == (0, 1)
    assert guest.load_by_name(b"m", b'{"temp":1}') == (0, 0)
    assert [graph.config for graph in guest.backend.graphs] == ['{"temp":0}', None]
    assert guest.backend.graphs[0].path == Path("one")


@pytest.mark.parametrize(
    ("name", "errno"),
    [(b"nosuch", 8), (b"gone", 103), (b"torch", 1), (b"\xff", 8), (b"", 8)],
)
def test_a_model_that_cannot_be_loaded(guest: Guest, name: bytes, errno: int) -> None:
    assert guest.load_by_name(name)[0] == errno


def test_metadata_that_is_not_text_is_refused(guest: Guest) -> None:
    assert guest.load_by_name(b"m", b"\xff") == (NnErrno.INVALID_ENCODING, 0)


def test_load_gives_the_model_in_a_file_that_stays_with_the_graph(guest: Guest) -> None:
    guest.memory.write(DATA, b"model bytes")
    guest.memory.write(CONFIG, b'{"temp":0}')
    guest.memory.write(NAME, struct.pack("<IIII", DATA, 11, CONFIG, 10))
    assert guest.call("load", NAME, 2, Encoding.GGML, Target.CPU, OUT) == 0
    graph = guest.backend.graphs[0]
    assert (graph.content, graph.config) == (b"model bytes", '{"temp":0}')
    assert guest.call("load", NAME, 1, Encoding.GGML, Target.CPU, OUT) == 0
    assert guest.context() == 0
    assert guest.call("unload", 0) == 0
    assert graph.path.read_bytes() == b"model bytes"
    assert guest.call("finalize_execution_context", 0) == 0
    assert not graph.path.exists()
    other = guest.backend.graphs[1].path
    assert other.exists()
    guest.session.close()
    assert not other.exists()


def test_a_model_that_is_refused_or_has_no_place_leaves_no_file(
    guest: Guest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    guest.memory.write(DATA, b"bad")
    guest.memory.write(NAME, struct.pack("<II", DATA, 3))
    assert guest.call("load", NAME, 1, Encoding.GGML, Target.CPU, OUT) == NnErrno.INVALID_ARGUMENT
    assert list(tmp_path.iterdir()) == []
    tempfile.tempdir = str(tmp_path / "none")
    assert guest.call("load", NAME, 1, Encoding.GGML, Target.CPU, OUT) == NnErrno.RUNTIME_ERROR


@pytest.mark.parametrize(
    ("count", "encoding", "target", "errno"),
    [(1, 99, 0, 2), (1, 8, 0, 2), (1, 6, 9, 1), (0, 6, 0, 1), (1, 3, 0, 1)],
)
def test_load_refuses(guest: Guest, count: int, encoding: int, target: int, errno: int) -> None:
    assert guest.call("load", NAME, count, encoding, target, OUT) == errno


def test_a_guest_has_a_bounded_number_of_contexts(
    ready: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(computing, "MAX_CONTEXTS", 3)
    assert [ready.context() for _ in range(2)] == [1, 2]
    assert ready.call("init_execution_context", 0, OUT) == NnErrno.RUNTIME_ERROR
    assert len(ready.backend.graphs[0].contexts) == 3
    assert ready.call("finalize_execution_context", 1) == 0
    assert ready.context() == 3


def test_a_guest_has_a_bounded_number_of_graphs_and_of_bytes_in_them(
    ready: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(size: int) -> int:
        ready.memory.write(DATA, bytes(size))
        ready.memory.write(NAME, struct.pack("<II", DATA, size))
        return ready.call("load", NAME, 1, Encoding.GGML, Target.CPU, OUT)

    monkeypatch.setattr(graphs, "MAX_MODEL_BYTES", 100)
    assert (load(60), load(60)) == (0, NnErrno.RUNTIME_ERROR)
    assert ready.context(1) == 1
    assert ready.call("unload", 1) == 0
    assert load(60) == NnErrno.RUNTIME_ERROR, "its context keeps the graph"
    assert ready.call("finalize_execution_context", 1) == 0
    assert (load(60), load(40)) == (0, 0)
    monkeypatch.setattr(graphs, "MAX_GRAPHS", 3)
    assert load(0) == NnErrno.RUNTIME_ERROR
    assert ready.load_by_name(b"m") == (0, 0)
    assert ready.load_by_name(b"n")[0] == NnErrno.RUNTIME_ERROR
    assert len(ready.backend.graphs) == 4


def test_unload_frees_the_name_and_lets_contexts_be_read(ready: Guest) -> None:
    ready.set_input(0, 0, b"hello")
    ready.call("compute", 0)
    graph = ready.backend.graphs[0]
    assert ready.call("unload", 0) == 0
    assert not graph.closed
    assert ready.output(0, 0, 100) == 0
    for errno in (
        ready.call("compute", 0),
        ready.call("compute_single", 0),
        ready.set_input(0, 0, b""),
        ready.call("init_execution_context", 0, OUT),
        ready.call("unload", 0),
    ):
        assert errno == NnErrno.INVALID_ARGUMENT
    assert ready.call("finalize_execution_context", 0) == 0
    assert graph.closed


def test_every_preload_is_checked_at_once_on_request(guest: Guest) -> None:
    network = NeuralNetwork(PRELOADS[:2], backends={Encoding.GGML: lambda: guest.backend})
    network.preload_all()
    assert guest.backend.preloaded == [Path("one"), Path("two")]
    with pytest.raises(PreloadError, match="'gone': model file not found"):
        guest.network.preload_all()


def test_guests_that_start_at_once_share_one_backend() -> None:
    made: list[FakeBackend] = []

    def make() -> FakeBackend:
        time.sleep(0.05)
        made.append(FakeBackend())
        return made[-1]

    network = NeuralNetwork(PRELOADS, backends={Encoding.GGML: make})
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: network.backend(Encoding.GGML), range(4)))
    assert [id(each) for each in found] == [id(made[0])] * 4
    assert len(made) == 1


def test_a_guest_may_name_the_files_of_preloads(ready: Guest) -> None:
    assert ready.backend.graphs[0].files.host_path("two") == Path("two")
    with pytest.raises(PermissionError):
        ready.backend.graphs[0].files.host_path("four")
