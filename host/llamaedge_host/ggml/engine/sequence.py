"""One computation: a prompt, what follows it, and where it ends."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from queue import SimpleQueue
from types import MappingProxyType
from typing import Protocol

from ...nn.errno import ErrNo
from ..llama.vocabulary import Vocabulary
from ..media.pictures import Picture
from ..sampling.sampler import Sampler
from .arrivals import Arrivals

LOOKAHEAD = 8
"""Tokens that a sequence may be ahead of the guest that reads it."""
RESUME = LOOKAHEAD // 2
"""Tokens ahead at which a paused sequence goes on."""


@dataclass(frozen=True)
class End:
    """Why a sequence ended. ``token`` is the last one, None if the end made none.

    END_OF_SEQUENCE for an end-of-generation token and every limit that was asked for,
    CONTEXT_FULL for a full context, RUNTIME_ERROR (with a reason) for a failed computation.
    """

    errno: ErrNo
    token: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Limits:
    """Where a sequence ends besides an end-of-generation token.

    ``tokens``: made at most, None for no limit. ``reverse_prompt``: text that ends it.
    ``seconds``: from its beginning, waiting included.
    """

    tokens: int | None = None
    seconds: float = math.inf
    reverse_prompt: bytes = b""
    ignore_end: bool = False


class Owner(Protocol):
    """Who computes a sequence."""

    def resume(self, sequence: "Sequence") -> None:
        """The guest has caught up with ``sequence``. Any thread."""


class Sequence:
    """A prompt being continued. The engine's thread writes, one guest's thread reads.

    ``tokens`` are the prompt and all that was made; the first ``position`` of them are
    evaluated, and lie in the KV cache of ``slot`` while there is one. ``whole`` sequences hand
    over nothing before their end, and are never paused. Among ``tokens``, placeholders stand
    for ``pictures``, each by its first position; a prompt ends with a token.
    """

    def __init__(
        self,
        prompt: list[int],
        sampler: Sampler,
        vocabulary: Vocabulary,
        limits: Limits,
        *,
        room: int,
        whole: bool,
        arrivals: Arrivals,
        pictures: Mapping[int, Picture] = MappingProxyType({}),
    ) -> None:
        self.tokens = list(prompt)
        self.prompt_length = len(prompt)
        self.sampler = sampler
        self.whole = whole
        self.pictures = pictures
        self.position = 0
        self.slot = -1
        self.reused = 0
        self.paused = False
        self.paused_at = 0.0
        self.since = time.monotonic()
        """When it began to wait, or when it got its slot."""
        self.deadline = self.since + limits.seconds
        self.made_before = 0
        """Tokens made when it got its slot."""
        self.ended = False
        self.handed: SimpleQueue[int | End | None] = SimpleQueue()
        self._taken = 0
        self._arrivals = arrivals
        self._asked = -1
        """The count of arrivals when ``ask`` last looked."""
        self._vocabulary = vocabulary
        self._limits = limits
        self._room = room
        self._tail = b""

    @property
    def made(self) -> int:
        """Tokens made."""
        return len(self.tokens) - self.prompt_length

    @property
    def pending(self) -> int:
        """Tokens to be evaluated next in one go: all there are, or those before a picture."""
        count = len(self.tokens) - self.position
        if count > 1 and self.pictures:
            count = min(
                [count, *(at - self.position for at in self.pictures if at >= self.position)]
            )
        return count

    @property
    def lead(self) -> int:
        """Tokens made that the guest has not taken."""
        return self.made - self._taken

    def accept(self, token: int) -> bool:
        """Take over a token just made; whether it was the last. It does not tell ``arrivals``."""
        self.tokens.append(token)
        errno = self._end_after(token)
        if errno is not None:
            self.end(End(errno, token))
            return True
        if not self.whole:
            self.handed.put(token)
        return False

    def _end_after(self, token: int) -> ErrNo | None:
        limits = self._limits
        if not limits.ignore_end and self._vocabulary.is_end(token):
            return ErrNo.END_OF_SEQUENCE
        if limits.reverse_prompt and self._reversed(token, limits.reverse_prompt):
            return ErrNo.END_OF_SEQUENCE
        if len(self.tokens) > self._room:
            return ErrNo.CONTEXT_FULL
        if limits.tokens is not None and self.made >= limits.tokens:
            return ErrNo.END_OF_SEQUENCE
        return None

    def _reversed(self, token: int, text: bytes) -> bool:
        tail = self._tail + self._vocabulary.piece(token)
        self._tail = tail[-len(text) :]
        return text in tail

    def end(self, end: End) -> None:
        """Hand over ``end`` and be over."""
        self.cancel()
        self.handed.put(end)
        self._arrivals.tell()

    def cancel(self) -> None:
        """Be over, for who reads no more; its sampler is freed."""
        self.ended = True
        self.sampler.close()

    def take(self, owner: Owner, timeout: float | None = None) -> int | End | None:
        """The next token, or the end; blocks. None if ``wake`` woke it.

        Raises queue.Empty after ``timeout`` seconds; None is no limit.
        """
        return self._took(self.handed.get(timeout=timeout), owner)

    def ask(self, owner: Owner, timeout: float) -> int | End | None:
        """The same for a guest that asks several sequences in turn.

        Raises queue.Empty also as soon as any sequence was handed something since this one was
        last asked: so what comes first is taken first, and none keeps the guest from another.
        """
        arrived = self._arrivals.count
        if self.handed.empty() and self._asked == arrived:
            self._arrivals.wait(arrived, timeout)
            arrived = self._arrivals.count
        self._asked = arrived
        return self._took(self.handed.get_nowait(), owner)

    def _took(self, item: int | End | None, owner: Owner) -> int | End | None:
        if item is not None:
            self._taken += 1
            if self.paused and self.lead <= RESUME:
                owner.resume(self)
        return item

    def wake(self) -> None:
        """Wake a blocked ``take`` or ``ask``. Any thread."""
        self.handed.put(None)
        self._arrivals.tell()
