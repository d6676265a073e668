"""Questions to a worker that wait for their answers."""

import asyncio
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from .control import Answered, Question
from .pool import Unavailable


class AskedWrongly(Exception):
    """The worker cannot answer, for a reason that lies in what was asked."""


class Unsupported(Exception):
    """The worker's models have no answer to such a question."""


class NotAnswered(Exception):
    """The worker failed to answer."""


Failures = (AskedWrongly, Unsupported, NotAnswered)
"""What may come in the place of an answer."""


class Inquiries:
    """Asks the worker that there is now through ``send``, which tells whether there is one."""

    def __init__(self, send: Callable[[Question], bool]) -> None:
        self._send = send
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    async def ask(self, about: str, given: Mapping[str, Any]) -> Any:
        """The answer's JSON values. Raises Failures and Unavailable."""
        question = Question(next(self._numbers), about, dict(given))
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[question.number] = answer
        try:
            if not self._send(question):
                raise Unavailable("the models are being loaded")
            return await answer
        finally:
            del self._waiting[question.number]

    def take(self, event: Answered) -> None:
        """An answer has come."""
        answer = self._waiting.get(event.number)
        if answer is None or answer.done():
            return
        if event.problem is None:
            answer.set_result(event.found)
        else:
            kind = (
                AskedWrongly if event.fault else Unsupported if event.unsupported else NotAnswered
            )
            answer.set_exception(kind(event.problem))

    def give_up(self, reason: Unavailable) -> None:
        """The worker has ended: no answer will come."""
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(reason.copy())
