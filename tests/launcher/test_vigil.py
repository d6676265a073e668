"""Which guests hang, by what is seen of them."""

from collections.abc import Iterator

import pytest

from llamaedge_host import Activity
from llamaedge_launcher.vigil import Vigil

LIMIT = 10.0
NN = "wasi_ephemeral_nn.compute"


class Seen:
    """What a vigil sees."""

    def __init__(self) -> None:
        self.calls = 0
        self.call: str | None = None
        self.waits = False
        self.cpu = 0.0
        self.steps = 0
        self.vigil = Vigil(self.activity, lambda: self.cpu, lambda: self.steps, limit=LIMIT)

    def activity(self) -> Activity:
        return Activity(self.calls, self.call, self.waits)

    def looks(self, seconds: float) -> Iterator[str | None]:
        for _ in range(int(seconds)):
            yield self.vigil.look(1.0)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """A process that uses no CPU and no disk."""

    class Usage:
        ru_utime = ru_stime = 0.0
        ru_majflt = ru_inblock = 0

    monkeypatch.setattr("resource.getrusage", lambda who: Usage)
    return Seen()


def test_a_loop_hangs_by_the_time_that_it_had_a_cpu(seen: Seen) -> None:
    for problem in seen.looks(100):
        seen.cpu += 0.05
        assert problem is None
    problems = []
    for problem in seen.looks(10):
        seen.cpu += 1
        problems.append(problem)
    assert problems[-1] == "hung in a loop for 10 s"


@pytest.mark.parametrize("call", ["wasi_snapshot_preview1.path_open", NN])
def test_a_call_that_never_returns_hangs(seen: Seen, call: str) -> None:
    seen.call = call
    problems = list(seen.looks(12))
    assert problems[:10] == [None] * 10
    assert problems[-1] == f"hung in {call} for 10 s"


def test_a_guest_that_makes_calls_lives(seen: Seen) -> None:
    for problem in seen.looks(100):
        seen.calls += 1
        seen.cpu += 1
        assert problem is None


def test_a_guest_that_waits_lives(seen: Seen) -> None:
    seen.call, seen.waits = "wasi_snapshot_preview1.poll_oneoff", True
    assert set(seen.looks(100)) == {None}


def test_a_model_may_load_for_ever(seen: Seen) -> None:
    seen.call = "wasi_ephemeral_nn.load_by_name_with_config"
    assert set(seen.looks(100)) == {None}


def test_a_computation_that_goes_on_lives(seen: Seen) -> None:
    seen.call = NN
    for number, problem in enumerate(seen.looks(100)):
        seen.steps += number % 9 == 0
        assert problem is None


@pytest.mark.parametrize(
    ("what", "amount"), [("ru_utime", 0.3), ("ru_majflt", 1), ("ru_inblock", 8)]
)
def test_a_long_step_of_a_computation_lives(
    seen: Seen, monkeypatch: pytest.MonkeyPatch, what: str, amount: float
) -> None:
    class Usage:
        ru_utime = ru_stime = 0.0
        ru_majflt = ru_inblock = 0

    monkeypatch.setattr("resource.getrusage", lambda who: Usage)
    seen.call = NN
    for problem in seen.looks(100):
        setattr(Usage, what, getattr(Usage, what) + amount)
        assert problem is None


def test_what_hangs_after_it_worked_is_found(seen: Seen) -> None:
    seen.call = NN
    for _ in seen.looks(50):
        seen.steps += 1
    assert list(seen.looks(12))[-1] is not None
