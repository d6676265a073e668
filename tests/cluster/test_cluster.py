"""What fronts do with what replicas say; without a cluster."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray.serve", reason="the extra 'ray' is not installed")

from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError

from llamaedge_launcher.asking import Unsupported
from llamaedge_launcher.control import WorkerConfig
from llamaedge_launcher.fleet.errors import UnknownModel
from llamaedge_launcher.fleet.looks import Looks
from llamaedge_launcher.fleet.recipe import Model, Recipe, Wanted
from llamaedge_launcher.models.facts import Facts
from llamaedge_launcher.pool import Overloaded, Unavailable
from llamaedge_launcher.proxy.exchange import GuestGone
from llamaedge_launcher.proxy.transport import TimedOut
from llamaedge_launcher.ray import sending
from llamaedge_launcher.ray.cluster import Cluster, Part
from llamaedge_launcher.ray.messages import Description, Head, Properties, Refused, Told

MODEL = Model("m", "acme/m", "chat", Path("/elsewhere/m.gguf"))
WORKER = WorkerConfig("", "guest", (), {}, (), (), 1, None, "info")
LOOKS = Looks(Facts(architecture="llama"), ("vision",), 7, 9, None)
TOLD = Description("one", (Recipe((MODEL,), WORKER, 1),), {MODEL: LOOKS}, {})
HEAD = Head(200, [])
GONE, BUSY = Refused(GuestGone("the guest has ended")), Refused(Unavailable("it is loading"))
DEAD = RayActorError()


class Call:
    """A method that answers with ``found``."""

    def __init__(self, found: Any) -> None:
        self._found = found

    async def remote(self, *arguments: Any) -> Any:
        return self._found

    async def results_async(self, **how: Any) -> Any:
        return self._found


class Handle:
    """A deployment whose replicas answer one request after another as ``script`` says."""

    def __init__(self, *script: Any, everyone: Sequence[Any] = ()) -> None:
        self.script = list(script)
        self.describe = Call(TOLD)
        self.digests = Call({MODEL: "d1935"})
        self._everyone = everyone

    def options(self, **how: Any) -> "Handle":
        return self

    def broadcast(self, method: str, *arguments: Any) -> Call:
        return Call(self._everyone)

    def remote(self, asked: Any) -> "Stream":
        return Stream(self.script.pop(0))


class Stream:
    """An answer that is ``first`` and no more; None is one that never comes."""

    def __init__(self, first: Any) -> None:
        self._first = first

    async def __anext__(self) -> Any:
        if self._first is None:
            await asyncio.sleep(60)
        if isinstance(self._first, Exception):
            raise self._first
        return self._first

    def cancel(self) -> None:
        pass


def asked(
    handle: Handle, act: Callable[[Cluster], Any], *, timeout: float = 0, several: bool = False
) -> Any:
    """What ``act`` awaits of a cluster that has learnt what there is."""

    async def run() -> Any:
        cluster = Cluster([Part("m", handle, several)], timeout=timeout)
        await cluster.learn()
        return await act(cluster)

    return asyncio.run(run())


async def sent(cluster: Cluster) -> int:
    async with cluster.send(b"GET / HTTP/1.1\r\n\r\n", wanted=Wanted(), computes=True) as answer:
        return answer.status


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "_PAUSE", 0)


@pytest.mark.parametrize(
    "script",
    [[HEAD], [DEAD, HEAD], [BUSY, BUSY, BUSY, HEAD], [GONE, HEAD], [GONE, DEAD, BUSY, HEAD]],
)
def test_what_has_no_answer_goes_to_another_replica(script: list[Any]) -> None:
    handle = Handle(*script)
    assert asked(handle, sent) == 200
    assert handle.script == []


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ([BUSY] * 4, Unavailable),
        ([DEAD] * 4, Unavailable),
        ([GONE, GONE, HEAD], GuestGone),
        ([Refused(UnknownModel("no")), HEAD], UnknownModel),
        ([BackPressureError(num_queued_requests=1, max_queued_requests=1), HEAD], Overloaded),
    ],
)
def test_it_is_not_sent_for_ever(script: list[Any], expected: type[Exception]) -> None:
    """A request that ends guests ends two of them."""
    with pytest.raises(expected):
        asked(Handle(*script), sent)


def test_a_request_has_its_time() -> None:
    with pytest.raises(TimedOut, match=r"not answered within 0.05 s, as request-timeout says"):
        asked(Handle(None), sent, timeout=0.05)


def test_models_look_as_replicas_see_them() -> None:
    async def look(cluster: Cluster) -> tuple[Any, Any]:
        return await cluster.looks([MODEL]), await cluster.digests([MODEL])

    assert asked(Handle(), look) == ([LOOKS], ["d1935"])


def test_slots_are_numbered_through_all_replicas() -> None:
    replies = [("two", [{"index": 0}]), DEAD, ("one", [{"index": 0}, {"index": 1}])]
    slots = asked(
        Handle(everyone=replies), lambda cluster: cluster.ask(Wanted(None, "chat"), "slots", {})
    )
    assert [(each["index"], each["replica"]) for each in slots] == [
        (0, "one"),
        (1, "one"),
        (2, "two"),
    ]


def test_what_would_change_one_replica_is_not_asked() -> None:
    with pytest.raises(Unsupported, match="'lora'"):
        asked(Handle(), lambda cluster: cluster.ask(Wanted(), "scale", {"adapters": []}))


def test_a_model_that_sleeps_says_so() -> None:
    handle = Handle(Told(Properties("available", {"slots": 2})))
    shown, told = asked(handle, lambda cluster: cluster.properties(Wanted("m")), several=True)
    assert (shown.status, shown.recipe.models, told) == ("available", (MODEL,), {"slots": 2})
