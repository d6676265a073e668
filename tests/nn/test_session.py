"""The functions of wasi_ephemeral_nn, with a backend that computes nothing."""

import ctypes
import json
import struct
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from guests import docstrings
from hypothesis import given, settings
from hypothesis import strategies as st

from llamaedge_host.errors import BadPointer, Interrupted, PreloadError
from llamaedge_host.files import Files
from llamaedge_host.memory import Memory
from llamaedge_host.nn import (
    Encoding,
    NeuralNetwork,
    NnErrno,
    Preload,
    Target,
    computing,
    edge,
    graphs,
)
from llamaedge_host.nn.backend import BackendError, Output
from llamaedge_host.nn.computing import UNSIZED_BUFFER
from llamaedge_host.nn.session import FUNCTIONS, Session

SIZE = 1 << 20
OUT = 16  # where results go
NAME, CONFIG, TENSOR, DATA, BUFFER = 64, 256, 1024, 2048, 4096


class FakeContext:
    def __init__(self, graph: "FakeGraph") -> None:
        self.graph = graph
        self.inputs: list[tuple[int, int, bytes]] = []
        self.text = b""
        self.closed = False
        self.released = threading.Event()
        self.blocks = False
        self.single = NnErrno.END_OF_SEQUENCE

    def set_input(self, index: int, tensor_type: int, data: bytes) -> None:
        if data == b"bad":
            raise BackendError(NnErrno.INVALID_ENCODING, "it is\nbad")
        self.inputs.append((index, tensor_type, data))

    def compute(self) -> NnErrno:
        if self.blocks:
            self.released.wait()
            raise Interrupted("cancelled")
        self.text = b"".join(data for _, _, data in self.inputs)
        return NnErrno.SUCCESS

    def compute_single(self) -> NnErrno:
        return self.single

    def output(self, index: int) -> bytes:
        return b'{"output_tokens": 3}' if index == 1 else self.text

    def output_single(self, index: int) -> bytes:
        return b'{"output_tokens": 3}' if index == 1 else self.text[-1:]

    def fini_single(self) -> None:
        self.text = b""

    def cancel(self) -> None:
        self.released.set()

    def close(self) -> None:
        self.closed = True


class FakeGraph:
    def __init__(self, path: Path, target: Target, config: str | None) -> None:
        self.path, self.target, self.config = path, target, config
        self.content = path.read_bytes() if path.exists() else b""
        self.contexts: list[FakeContext] = []
        self.closed = False

    def context(self, files: Files, stdout: Output) -> FakeContext:
        self.files = files
        self.contexts.append(FakeContext(self))
        return self.contexts[-1]

    def close(self) -> None:
        self.closed = True


class FakeBackend:
    def __init__(self) -> None:
        self.graphs: list[FakeGraph] = []
        self.preloaded: list[Path] = []
        self.closed = False

    def preload(self, path: Path) -> None:
        if path.name == "missing":
            raise BackendError(NnErrno.MODEL_NOT_FOUND, f"model file not found: {path}")
        self.preloaded.append(path)

    def load(self, path: Path, target: Target, config: str | None) -> FakeGraph:
        if path.name == "missing":
            raise BackendError(NnErrno.MODEL_NOT_FOUND, f"model file not found: {path}")
        made = FakeGraph(path, target, config)
        if made.content == b"bad":
            raise BackendError(NnErrno.INVALID_ARGUMENT, "it is no model")
        self.graphs.append(made)
        return self.graphs[-1]

    def statistics(self) -> dict[str, dict[str, object]]:
        return {"engine": {"generated_tokens": 1}}

    def close(self) -> None:
        self.closed = True


PRELOADS = [
    Preload.parse(text)
    for text in (
        "m:GGML:AUTO:one",
        "n:GGML:CPU:two",
        "m:GGML:CPU:three",
        "gone:GGML:AUTO:missing",
        "torch:PyTorch:CPU:x",
    )
]


class Guest:
    """A guest's memory and its session, with calls as a guest would make them."""

    def __init__(self) -> None:
        self.buffer = ctypes.create_string_buffer(SIZE)
        self.memory = Memory(lambda: (ctypes.addressof(self.buffer), SIZE))
        self.backend = FakeBackend()
        self.network = NeuralNetwork(PRELOADS, backends={Encoding.GGML: lambda: self.backend})
        self.session = self.network.session(self.memory)

    def call(self, name: str, *args: int) -> int:
        function = self.session.resolve("wasi_ephemeral_nn", name, "i" * len(args), "i")
        assert function is not None, name
        errno = function(*args)
        assert errno is not None
        return errno

    def load_by_name(self, name: bytes, config: bytes | None = None) -> tuple[int, int]:
        self.memory.write(NAME, name)
        if config is None:
            errno = self.call("load_by_name", NAME, len(name), OUT)
        else:
            self.memory.write(CONFIG, config)
            errno = self.call(
                *("load_by_name_with_config", NAME, len(name), CONFIG, len(config), OUT)
            )
        return errno, self.memory.u32(OUT)

    def context(self, graph: int = 0) -> int:
        assert self.call("init_execution_context", graph, OUT) == 0
        return self.memory.u32(OUT)

    def set_input(self, context: int, index: int, data: bytes, kind: int = 3) -> int:
        self.memory.write(DATA, data)
        self.memory.pack(struct.Struct("<5I"), TENSOR, DATA, 1, kind, DATA, len(data))
        return self.call("set_input", context, index, TENSOR)

    def output(self, context: int, index: int, size: int, name: str = "get_output") -> int:
        return self.call(name, context, index, BUFFER, size, OUT)

    def counts(self, name: str = "get_output") -> dict[str, object]:
        assert self.output(0, 1, 100, name) == 0
        counts: dict[str, object] = json.loads(self.memory.read(BUFFER, self.memory.u32(OUT)))
        return counts


@pytest.fixture
def guest() -> Guest:
    return Guest()


@pytest.fixture
def ready(guest: Guest) -> Guest:
    """A guest with graph 0 and context 0."""
    assert guest.load_by_name(b"m") == (0, 0)
    assert guest.context() == 0
    return guest


def test_functions_are_found_by_name_and_type(guest: Guest) -> None:
    for name, arity in FUNCTIONS.items():
        assert guest.session.resolve("wasi_ephemeral_nn", name, "i" * arity, "i")
        assert not guest.session.resolve("wasi_ephemeral_nn", name, "i" * (arity + 1), "i")
        assert not guest.session.resolve("wasi_ephemeral_nn", name, "i" * arity, "")
        assert not guest.session.resolve("wasi_nn", name, "i" * arity, "i")
    assert not guest.session.resolve("wasi_ephemeral_nn", "close", "i", "i")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_documented(guest: Guest, name: str) -> None:
    function = guest.session.resolve("wasi_ephemeral_nn", name, "i" * FUNCTIONS[name], "i")
    assert function is not None
    docstrings.check(function, NnErrno)


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


def test_metadata_has_a_bounded_length(ready: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in computing, edge:
        monkeypatch.setattr(module, "MAX_METADATA", 10)
    assert ready.set_input(0, 1, b"x" * 11) == NnErrno.TOO_LARGE
    assert ready.counts()["error"] == "the metadata has 11 bytes; 10 are the most"
    assert ready.set_input(0, 1, b"x" * 10) == 0
    assert ready.set_input(0, 0, b"x" * 11) == 0
    assert ready.load_by_name(b"n", b"x" * 11)[0] == NnErrno.TOO_LARGE


def test_a_computation(ready: Guest) -> None:
    assert ready.set_input(0, 0, b"hello") == 0
    assert ready.call("compute", 0) == 0
    assert ready.output(0, 0, 100) == 0
    assert ready.memory.read(BUFFER, ready.memory.u32(OUT)) == b"hello"
    assert ready.output(0, 0, 100, "get_output_single") == 0
    assert ready.memory.read(BUFFER, ready.memory.u32(OUT)) == b"o"
    assert ready.output(0, 1, 100) == 0
    assert ready.counts() == {"output_tokens": 3}
    assert ready.call("compute_single", 0) == NnErrno.END_OF_SEQUENCE
    assert ready.call("fini_single", 0) == 0


def test_the_backend_gets_the_tensor_type_and_its_errno_goes_out(ready: Guest) -> None:
    for kind, errno in ((0, 0), (1, 0), (2, 1), (3, 0), (4, 0), (5, 1), (6, 1)):
        assert ready.set_input(0, 0, b"x", kind) == errno
    assert [kind for _, kind, _ in ready.backend.graphs[0].contexts[0].inputs] == [0, 1, 3, 4]
    assert ready.set_input(0, 1, b"bad") == NnErrno.INVALID_ENCODING


def test_a_short_buffer_says_what_is_needed(ready: Guest) -> None:
    ready.set_input(0, 0, b"hello")
    ready.call("compute", 0)
    assert ready.output(0, 0, 4) == NnErrno.TOO_LARGE
    assert ready.memory.u32(OUT) == 5
    assert ready.memory.read(BUFFER, 5) == bytes(5)


def test_an_unsized_buffer_has_the_room_of_llama_core(ready: Guest) -> None:
    context = ready.backend.graphs[0].contexts[0]
    context.text = b"x" * UNSIZED_BUFFER
    assert ready.output(0, 0, 0) == 0
    assert ready.memory.u32(OUT) == UNSIZED_BUFFER
    context.text += b"x"
    assert ready.output(0, 0, 0) == NnErrno.TOO_LARGE


def test_a_failure_is_told_in_words_until_a_call_succeeds(ready: Guest) -> None:
    assert "error" not in ready.counts()
    for _ in range(2):
        assert ready.set_input(0, 1, b"bad") == NnErrno.INVALID_ENCODING
        for name in "get_output", "get_output_single":
            assert ready.counts(name) == {"output_tokens": 3, "error": "it is bad"}
    assert ready.set_input(0, 0, b"x", 99) == NnErrno.INVALID_ARGUMENT
    assert ready.counts()["error"] == "unknown tensor type 99"
    assert ready.set_input(0, 0, b"good") == 0
    assert "error" not in ready.counts()
    ready.set_input(0, 1, b"bad")
    assert ready.call("compute", 0) == 0
    assert "error" not in ready.counts()
    ready.call("unload", 0)
    assert ready.call("compute", 0) == NnErrno.INVALID_ARGUMENT
    assert ready.counts()["error"] == "the graph of context 0 has been unloaded"


@pytest.mark.parametrize(
    ("errno", "error"),
    [
        (NnErrno.SUCCESS, None),
        (NnErrno.BUSY, None),
        (NnErrno.END_OF_SEQUENCE, None),
        (NnErrno.CONTEXT_FULL, "the context is full: a larger ctx-size holds more tokens"),
        (NnErrno.PROMPT_TOO_LONG, "the prompt is too long for the context"),
        (NnErrno.RUNTIME_ERROR, "the computation failed"),
    ],
)
def test_an_end_that_stays_has_its_reason(ready: Guest, errno: NnErrno, error: str | None) -> None:
    ready.backend.graphs[0].contexts[0].single = errno
    for _ in range(2):
        assert ready.call("compute_single", 0) == errno
        assert ready.counts().get("error") == error


def test_a_failure_that_stays_keeps_its_reason(
    ready: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> NnErrno:
        raise BackendError(NnErrno.RUNTIME_ERROR, "the model computes no numbers")

    context = ready.backend.graphs[0].contexts[0]
    context.single = NnErrno.RUNTIME_ERROR
    with monkeypatch.context() as patch:
        patch.setattr(context, "compute_single", fail)
        assert ready.call("compute_single", 0) == NnErrno.RUNTIME_ERROR
    for _ in range(2):
        assert ready.call("compute_single", 0) == NnErrno.RUNTIME_ERROR
        assert ready.counts()["error"] == "the model computes no numbers"


def test_handles_are_not_reused(ready: Guest) -> None:
    assert ready.context() == 1
    assert ready.call("finalize_execution_context", 1) == 0
    assert ready.context() == 2
    assert ready.call("unload", 0) == 0
    assert ready.load_by_name(b"m") == (0, 1)


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


@pytest.mark.parametrize(
    "call",
    [
        ("init_execution_context", 7, OUT),
        ("set_input", 7, 0, TENSOR),
        ("get_output", 7, 0, BUFFER, 9, OUT),
        ("get_output_single", 7, 0, BUFFER, 9, OUT),
        ("compute", 7),
        ("compute_single", 7),
        ("fini_single", 7),
        ("finalize_execution_context", 7),
        ("unload", 7),
    ],
)
def test_a_made_up_handle_is_an_invalid_argument(ready: Guest, call: tuple[str, int]) -> None:
    assert ready.call(*call) == NnErrno.INVALID_ARGUMENT


OUTSIDE = SIZE - 3


@pytest.mark.parametrize(
    "call",
    [
        ("load", OUTSIDE, 1, 6, 0, OUT),
        ("load", NAME, 1, 6, 0, OUTSIDE),
        ("load_by_name", OUTSIDE, 100, OUT),
        ("load_by_name", NAME, 1, OUTSIDE),
        ("load_by_name_with_config", NAME, 1, OUTSIDE, 100, OUT),
        ("init_execution_context", 0, OUTSIDE),
        ("set_input", 0, 0, OUTSIDE),
        ("get_output", 0, 0, OUTSIDE, 100, OUT),
        ("get_output", 0, 0, BUFFER, 100, OUTSIDE),
        ("get_output_single", 0, 0, OUTSIDE, 100, OUT),
    ],
)
def test_a_pointer_outside_the_memory_is_refused(ready: Guest, call: tuple[str, int]) -> None:
    with pytest.raises(BadPointer):
        ready.call(*call)
    assert ready.session.fault == NnErrno.INVALID_ARGUMENT
    assert len(ready.backend.graphs) == 1
    assert len(ready.backend.graphs[0].contexts) == 1


def test_the_guests_end_closes_everything(ready: Guest) -> None:
    graph = ready.backend.graphs[0]
    ready.call("unload", 0)
    ready.load_by_name(b"n")
    ready.session.close()
    assert graph.closed and graph.contexts[0].closed
    assert ready.backend.graphs[1].closed
    ready.network.close()
    assert ready.backend.closed


def test_interrupt_wakes_a_computation_and_stops_later_ones(ready: Guest) -> None:
    ready.backend.graphs[0].contexts[0].blocks = True
    raised: list[BaseException] = []

    def compute() -> None:
        try:
            ready.call("compute", 0)
        except Interrupted as error:
            raised.append(error)

    thread = threading.Thread(target=compute)
    thread.start()
    time.sleep(0.05)
    ready.session.interrupt()
    thread.join(5)
    assert raised
    with pytest.raises(Interrupted):
        ready.call("compute", 0)


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


def test_statistics_are_the_backends(ready: Guest) -> None:
    assert ready.network.statistics() == {"engine": {"generated_tokens": 1}}


ARGUMENT = st.one_of(st.integers(0, 8), st.integers(SIZE - 8, SIZE + 8), st.integers(0, 2**32 - 1))


@settings(max_examples=150)
@given(
    st.lists(
        st.sampled_from(sorted(FUNCTIONS)).flatmap(
            lambda name: st.tuples(st.just(name), st.tuples(*[ARGUMENT] * FUNCTIONS[name]))
        ),
        max_size=12,
    )
)
def test_no_call_does_anything_but_answer_an_errno(
    calls: list[tuple[str, tuple[int, ...]]],
) -> None:
    guest = Guest()
    guest.load_by_name(b"m")
    guest.context()
    for name, args in calls:
        function: Callable[..., int | None] | None
        function = guest.session.resolve("wasi_ephemeral_nn", name, "i" * len(args), "i")
        assert function is not None
        try:
            errno = function(*args)
        except BadPointer:
            errno = Session.fault
        assert errno in NnErrno.__members__.values()
