"""Event streams as they come, cut anywhere: https://html.spec.whatwg.org/#server-sent-events."""

import re

DONE = b"[DONE]"
"""The data of the event that ends a stream of OpenAI's."""

_BLANK = re.compile(rb"\r?\n\r?\n")
_FIELD = b"data:"


class Events:
    """Takes an event stream in parts."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, part: bytes) -> list[bytes]:
        """The data of each event that ``part`` completes; comments are none."""
        *complete, self._rest = _BLANK.split(self._rest + part)
        return [data for each in complete if (data := _data(each))]


def _data(event: bytes) -> bytes:
    values = (line[len(_FIELD) :] for line in event.splitlines() if line.startswith(_FIELD))
    return b"\n".join(value.removeprefix(b" ") for value in values)
