"""The limit of a request, which the host keeps for a guest that does not."""

import json
import threading
from typing import Any

import pytest

from llamaedge_host.files import NO_FILES
from llamaedge_launcher.limits import LimitedGraph, Limits

HEAD = b"POST / HTTP/1.1\r\n%shost: x\r\n\r\n"
LIMIT = b"X-LlamaEdge-Limit: %d\r\n"
METADATA, PROMPT, TENSOR = 1, 0, 2


class Context:
    """Remembers what the backend's context would be told."""

    def __init__(self) -> None:
        self.metadata: dict[str, Any] = {}
        self.limits: list[int | None] = []

    def set_input(self, index: int, tensor_type: int, data: bytes) -> None:
        if index == METADATA:
            self.metadata |= json.loads(data)
        else:
            self.limits.append(self.metadata.get("n-predict"))

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


class Graph:
    def __init__(self) -> None:
        self.made = Context()

    def context(self, *_: Any) -> Any:
        return self.made

    def close(self) -> None: ...


def ask(limits: Limits, context: Any, limit: int | None) -> None:
    limits.take(HEAD % (b"" if limit is None else LIMIT % limit))
    context.set_input(PROMPT, TENSOR, b"hello")


@pytest.mark.parametrize(
    ("config", "asked", "told"),
    [
        (None, [None, 5, None, 7], [None, 5, -1, 7]),
        ('{"n-predict": 10}', [None, 5, 20, None], [None, 5, 10, 10]),
        ('{"n-predict": -1}', [3, None], [3, -1]),
        ("nonsense", [3], [3]),
    ],
)
def test_each_prompt_has_its_requests_limit(
    config: str | None, asked: list[int | None], told: list[int | None]
) -> None:
    graph, limits = Graph(), Limits()
    context = LimitedGraph(graph, limits, config).context(NO_FILES, print)
    for each in asked:
        ask(limits, context, each)
    assert graph.made.limits == told


def test_what_the_guest_sets_counts_from_then_on() -> None:
    graph, limits = Graph(), Limits()
    context = LimitedGraph(graph, limits, None).context(NO_FILES, print)
    ask(limits, context, 5)
    context.set_input(METADATA, TENSOR, b'{"n-predict": 3}')
    ask(limits, context, 5)
    context.set_input(METADATA, TENSOR, b'{"temp": 1.0}')
    ask(limits, context, None)
    context.set_input(METADATA, TENSOR, b'{"n-predict": 30}')
    ask(limits, context, 5)
    assert graph.made.limits == [5, 3, 3, 5]


def test_a_limit_is_read_from_the_head_alone() -> None:
    limits = Limits()
    limits.take(HEAD % b"" + LIMIT % 5)
    assert limits.get() is None
    limits.take(HEAD % (LIMIT % 5))
    assert limits.get() == 5


def test_a_guest_has_only_its_own_limit() -> None:
    limits, other = Limits(), []
    limits.take(HEAD % (LIMIT % 5))
    thread = threading.Thread(target=lambda: other.append(limits.get()))
    thread.start()
    thread.join()
    assert other == [None]
