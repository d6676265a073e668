"""wasi:logging."""

import re
from collections.abc import Iterator

import pytest
from guests.probe import Import, Probe

IMPORTS: list[Import] = [("wasi:logging/logging", "log", "iiiii", "")]
CONTEXT, MESSAGE = 0x100, 0x200
LINE = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\] \[(\w+)\] (.*)\n"


class Streams:
    def __init__(self) -> None:
        self.out: list[bytes] = []
        self.err: list[bytes] = []


@pytest.fixture
def streams() -> Streams:
    return Streams()


@pytest.fixture
def probe(streams: Streams) -> Iterator[Probe]:
    with Probe(imports=IMPORTS, stdout=streams.out.append, stderr=streams.err.append) as made:
        yield made


def log(probe: Probe, level: int, context: bytes, message: bytes) -> None:
    probe.write(CONTEXT, context)
    probe.write(MESSAGE, message)
    probe("log", level, CONTEXT, len(context), MESSAGE, len(message))


@pytest.mark.parametrize(
    ("level", "name"),
    list(enumerate(["trace", "debug", "info", "warning", "error", "critical", "info"])),
)
def test_levels(probe: Probe, streams: Streams, level: int, name: str) -> None:
    log(probe, level, b"", b"a message")
    (line,) = streams.out
    match = re.fullmatch(LINE, line.decode())
    assert match
    assert match.groups() == (name, "a message")


@pytest.mark.parametrize("context", [b"", b"stdout"])
def test_contexts_of_standard_output(probe: Probe, streams: Streams, context: bytes) -> None:
    log(probe, 2, context, b"message")
    assert (len(streams.out), len(streams.err)) == (1, 0)


@pytest.mark.parametrize("context", [b"stderr", b"/etc/passwd", b"\xff"])
def test_any_other_context_goes_to_standard_error(
    probe: Probe, streams: Streams, context: bytes
) -> None:
    log(probe, 2, context, b"message")
    assert (len(streams.out), len(streams.err)) == (0, 1)


def test_pointers_outside_memory_log_nothing(probe: Probe, streams: Streams) -> None:
    probe("log", 2, 0xFFFFFFF0, 0x100, MESSAGE, 0xFFFFFFFF)
    assert streams.out == streams.err == []


def test_a_stream_that_the_guest_closed_logs_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with Probe(imports=[*IMPORTS, ("wasi_snapshot_preview1", "fd_close", "i", "i")]) as probe:
        assert probe("fd_close", 1) == 0
        log(probe, 2, b"", b"to nobody")
    assert capfd.readouterr().out == ""


def test_the_process_has_the_streams_by_default(capfd: pytest.CaptureFixture[str]) -> None:
    with Probe(imports=IMPORTS) as probe:
        log(probe, 2, b"", b"to standard output")
        log(probe, 2, b"stderr", b"to standard error")
    captured = capfd.readouterr()
    assert "[info] to standard output\n" in captured.out
    assert "[info] to standard error\n" in captured.err
