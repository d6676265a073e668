"""Answers that are held until they are whole, to be told in another way."""

from collections.abc import Callable

from starlette.types import Message, Send

Tell = Callable[[Message, bytes], tuple[Message, bytes] | None]


class Whole:
    """An application's ``send``, which holds an answer whose start is ``held`` until it is whole.

    ``tell`` makes what is sent then of its start and its body, None where nothing is to be sent.
    Other answers are sent as they come.
    """

    def __init__(self, send: Send, *, held: Callable[[Message], bool], tell: Tell) -> None:
        self._send = send
        self._held = held
        self._tell = tell
        self._start: Message | None = None
        self._parts: list[bytes] = []

    async def __call__(self, message: Message) -> None:
        """As ``send``."""
        if message["type"] == "http.response.start" and self._held(message):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._parts.append(message.get("body", b""))
            told = None
            if not message.get("more_body", False):
                told = self._tell(self._start, b"".join(self._parts))
            if told is not None:
                start, body = told
                await self._send(start)
                await self._send({"type": "http.response.body", "body": body})


def with_body(start: Message, body: bytes, *headers: tuple[bytes, bytes]) -> Message:
    """``start`` with the length of ``body``, and ``headers`` in the place of those it has."""
    given = [*headers, (b"content-length", b"%d" % len(body))]
    replaced = {name for name, _ in given}
    others = [pair for pair in start["headers"] if pair[0].lower() not in replaced]
    return {**start, "headers": [*others, *given]}
