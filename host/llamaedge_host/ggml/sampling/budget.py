"""A bound on a model's reasoning: once it has taken so many tokens, it is ended for the model."""

from collections import deque
from collections.abc import Sequence
from enum import Enum

from ..llama.vocabulary import Vocabulary
from ..metadata.parse import Settings

_LOOKED_AT = 64
"""Tokens of a prompt among which the tag is that begins reasoning."""


class _State(Enum):
    BEFORE = "the answer may begin with reasoning"
    INSIDE = "it reasons"
    ENDING = "the tag that ends it is being made"
    AFTER = "it does not reason, or not any more"


class Budget:
    """Follows an answer from the end of ``prompt``; reasoning stands between the ``tags``.

    It ends with the first of the second one: what follows that is only written where the budget
    is spent, as by a model whose answer begins in a section of its own.
    """

    def __init__(
        self, vocabulary: Vocabulary, tokens: int, tags: tuple[str, str], prompt: Sequence[int]
    ) -> None:
        self._vocabulary = vocabulary
        self._left = tokens
        self._open, close = (tag.encode() for tag in tags)
        self._close = close[: close.find(b">") + 1] or close
        self._ending = deque(vocabulary.tokenize(close, special=False))
        self._text = b""
        tail = b"".join(map(vocabulary.piece, prompt[-_LOOKED_AT:])).rstrip()
        self._state = _State.INSIDE if tail.endswith(self._open) else _State.BEFORE

    @classmethod
    def of(
        cls, settings: Settings, vocabulary: Vocabulary, prompt: Sequence[int]
    ) -> "Budget | None":
        """The one that ``settings`` ask for; None where reasoning may take what it takes."""
        tags = settings["reasoning-open"], settings["reasoning-close"]
        if settings["reasoning-budget"] < 0 or not all(tags):
            return None
        return cls(vocabulary, settings["reasoning-budget"], tags, prompt)

    def forced(self) -> int | None:
        """The token that has to come next, None if any may."""
        if self._state is _State.INSIDE and self._left <= 0:
            self._state = _State.ENDING
        if self._state is not _State.ENDING:
            return None
        token = self._ending.popleft()
        if not self._ending:
            self._state = _State.AFTER
        return token

    def made(self, token: int) -> None:
        """``token`` has come."""
        if self._state not in (_State.BEFORE, _State.INSIDE):
            return
        self._text += self._vocabulary.piece(token)
        if self._state is _State.BEFORE:
            self._begin()
        else:
            self._left -= 1
            self._text = self._text[-2 * len(self._close) - _LOOKED_AT :]
            if self._close in self._text:
                self._state = _State.AFTER

    def _begin(self) -> None:
        text = self._text.lstrip()
        if text.startswith(self._open):
            self._state, self._text = _State.INSIDE, b""
        elif not self._open.startswith(text):
            self._state = _State.AFTER
