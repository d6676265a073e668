"""Questions to a worker: each gets its answer, or is told why there is none."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from llamaedge_launcher.asking import AskedWrongly, Inquiries, NotAnswered
from llamaedge_launcher.control import Answered, Question
from llamaedge_launcher.pool import Unavailable


def asked(then: Callable[[Inquiries, list[Question]], None], count: int = 1) -> list[Any]:
    """What ``count`` questions get, after which comes ``then``."""
    sent: list[Question] = []

    def send(question: Question) -> bool:
        sent.append(question)
        return True

    async def work() -> list[Any]:
        inquiries = Inquiries(send)
        asking = [asyncio.create_task(inquiries.ask("a", {"n": n})) for n in range(count)]
        while len(sent) < count:
            await asyncio.sleep(0)
        then(inquiries, sent)
        return await asyncio.wait_for(asyncio.gather(*asking, return_exceptions=True), 20)

    with asyncio.Runner() as runner:
        return runner.run(work())


def test_answers_come_in_any_order() -> None:
    def answer(inquiries: Inquiries, sent: list[Question]) -> None:
        inquiries.take(Answered(99, "nobody's"))
        for each in reversed(sent):
            inquiries.take(Answered(each.number, each.given["n"]))

    assert asked(answer, 3) == [0, 1, 2]


@pytest.mark.parametrize(("fault", "kind"), [(True, AskedWrongly), (False, NotAnswered)])
def test_a_problem_says_whose_it_is(fault: bool, kind: type[Exception]) -> None:
    def answer(inquiries: Inquiries, sent: list[Question]) -> None:
        inquiries.take(Answered(sent[0].number, problem="no", fault=fault))

    (found,) = asked(answer)
    assert type(found) is kind
    assert str(found) == "no"


def test_a_worker_that_ends_leaves_no_question_open() -> None:
    found = asked(lambda inquiries, _: inquiries.give_up(Unavailable("it ended")), 2)
    assert [type(each) for each in found] == [Unavailable] * 2


def test_where_there_is_no_worker_nothing_is_asked() -> None:
    with asyncio.Runner() as runner, pytest.raises(Unavailable):
        runner.run(Inquiries(lambda _: False).ask("a", {}))
