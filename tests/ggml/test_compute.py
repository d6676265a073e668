"""The thread that computes: what fails in it fails alone."""

import threading
from collections.abc import Iterator

import pytest

from llamaedge_host.ggml.llama.compute import ComputeThread

SOON = 10.0  # seconds after which something is taken to hang


class Worker:
    """Notes what the thread does with it; the methods that ``broken`` names fail."""

    def __init__(self, *broken: str) -> None:
        self.broken = set(broken)
        self.abandoned: list[str] = []
        self.wanted = 0

    def _maybe(self, name: str) -> None:
        if name in self.broken:
            raise RuntimeError(f"{name} is broken")

    def begin_step(self) -> bool:
        self._maybe("begin_step")
        return self.wanted > 0

    def step(self) -> None:
        self.wanted -= 1
        self._maybe("step")

    def patience(self) -> float | None:
        self._maybe("patience")
        return None

    def abandon(self, reason: str) -> None:
        self._maybe("abandon")
        self.abandoned.append(reason)

    def finish(self) -> None:
        self._maybe("finish")

    def want(self, steps: int) -> None:
        self._maybe("want")
        self.wanted += steps


@pytest.fixture
def thread() -> Iterator[ComputeThread]:
    """A thread with a worker that is sound, which keeps it running."""
    thread = ComputeThread()
    sound = Worker()
    thread.add(sound)
    yield thread
    assert _returns(thread, sound)
    assert sound.abandoned == []


def _returns(thread: ComputeThread, worker: Worker) -> bool:
    """Whether ``remove`` returns."""
    removing = threading.Thread(target=thread.remove, args=(worker,), daemon=True)
    removing.start()
    removing.join(SOON)
    return not removing.is_alive()


def _computes(thread: ComputeThread) -> bool:
    """Whether the thread still does what is posted, after what was posted before."""
    done = threading.Event()
    thread.post(lambda _: done.set(), None)
    return done.wait(SOON)


@pytest.mark.parametrize(
    "broken",
    ["want", "begin_step", "step", "patience"],
)
@pytest.mark.parametrize("hopeless", [False, True], ids=["", "and abandoning fails"])
def test_what_fails_is_abandoned_and_the_thread_goes_on(
    thread: ComputeThread, broken: str, hopeless: bool
) -> None:
    worker = Worker(broken, *["abandon"] * hopeless)
    thread.add(worker)
    thread.post(worker.want, 1, worker)
    assert _computes(thread)
    assert _computes(thread)
    assert all(f"{broken} is broken" in reason for reason in worker.abandoned)
    assert bool(worker.abandoned) is not hopeless
    assert _returns(thread, worker)


def test_a_worker_that_cannot_finish_is_removed(thread: ComputeThread) -> None:
    worker = Worker("finish")
    thread.add(worker)
    assert _returns(thread, worker)
    assert _computes(thread)


def test_who_is_removed_already_is_not_waited_for() -> None:
    thread, worker = ComputeThread(), Worker()
    thread.add(worker)
    assert _returns(thread, worker)
    assert _returns(thread, worker)
