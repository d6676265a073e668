"""One computation: a prompt, what follows it, and where it ends."""

import math
import time
from collections import deque
from collections.abc import Mapping
from collections.abc import Sequence as Tokens
from dataclasses import dataclass
from enum import Enum
from queue import SimpleQueue
from types import MappingProxyType
from typing import Protocol

from ...nn.errno import NnErrno
from ..llama.adapters import Scales
from ..llama.vocabulary import Vocabulary
from ..media.pictures import Picture
from ..sampling.probabilities import Probabilities
from ..sampling.sampler import Sampler
from .arrivals import Arrivals
from .speculation import Speculation

LOOKAHEAD = 8
"""Tokens that a sequence may be ahead of the guest that reads it."""
UNREAD = LOOKAHEAD + 32
"""Tokens that a sequence may be ahead at most: a draft comes all at once."""
RESUME = LOOKAHEAD // 2
"""Tokens ahead at which a paused sequence goes on."""


class State(Enum):
    """Where a sequence is between its submission and its end."""

    WAITING = "waits for its first slot"
    PREFILLING = "is in a slot, and tokens that are known are evaluated"
    DECODING = "is in a slot, and a token is made in each step"
    PAUSED = "is so far ahead of its guest that it waits for that, in its slot or without one"
    PREEMPTED = "had to leave its slot, and waits for another"
    ENDED = "is over"


FOLLOWS = {
    State.WAITING: {State.PREFILLING, State.ENDED},
    State.PREFILLING: {State.DECODING, State.ENDED},
    State.DECODING: {State.PAUSED, State.PREEMPTED, State.ENDED},
    State.PAUSED: {State.DECODING, State.PREEMPTED, State.ENDED},
    State.PREEMPTED: {State.PREFILLING, State.ENDED},
    State.ENDED: set[State](),
}
"""The states that may follow each state."""


@dataclass(frozen=True)
class End:
    """Why a sequence ended. ``token`` is the last one, None if the end made none.

    END_OF_SEQUENCE for an end-of-generation token and every limit that was asked for,
    CONTEXT_FULL for a full context, RUNTIME_ERROR (with a reason) for a failed computation.
    """

    errno: NnErrno
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
    evaluated, and lie in the KV cache of ``slot``, -1 for none. Among ``tokens``, placeholders
    stand for ``pictures``, each by its first position; a prompt ends with a token. ``capacity``
    is how many tokens the context can take. One that does not ``stream`` hands over nothing but
    its end, and is never paused. One that does not ``reuse`` begins without what is in any cache.
    ``place`` is the number of the only slot that it may be in, None for any.
    ``speculation`` drafts for it, None for no drafts. ``adapters`` are the scales of the model's
    adapters.
    """

    def __init__(
        self,
        prompt: list[int],
        sampler: Sampler,
        vocabulary: Vocabulary,
        limits: Limits,
        *,
        capacity: int,
        stream: bool,
        arrivals: Arrivals,
        pictures: Mapping[int, Picture] = MappingProxyType({}),
        reuse: bool = True,
        place: int | None = None,
        speculation: Speculation | None = None,
        adapters: Scales = (),
    ) -> None:
        self.tokens = list(prompt)
        self.prompt_length = len(prompt)
        self.sampler = sampler
        self.stream = stream
        self.pictures = pictures
        self.reuse = reuse
        self.place = place
        self.adapters = adapters
        self.state = State.WAITING
        self.position = 0
        self.slot = -1
        self.reused = 0
        self.since = time.monotonic()
        """When it began to wait, or when it got its slot."""
        self.paused_at = 0.0
        self.deadline = self.since + limits.seconds
        self.seen: deque[Probabilities] = deque()
        """What each token that was handed over was chosen among, if the sampler tells."""
        self.handed: SimpleQueue[int | End | None] = SimpleQueue()
        self._fresh: list[int] = []
        self._taken = 0
        self._arrivals = arrivals
        self._asked = arrivals.count - (UNREAD if arrivals.begin() else 0)
        """The count of arrivals for which ``ask`` has looked."""
        self._vocabulary = vocabulary
        self._limits = limits
        self._capacity = capacity
        self._tail = b""
        self._speculation = speculation or Speculation(0)

    def become(self, state: State) -> None:
        """Take another state. Raises ValueError if it may not follow the present one."""
        if state not in FOLLOWS[self.state]:
            raise ValueError(f"a sequence that {self.state.value} became one that {state.value}")
        self.state = state

    @property
    def made(self) -> int:
        """Tokens made."""
        return len(self.tokens) - self.prompt_length

    @property
    def read(self) -> int:
        """Tokens of the prompt that are evaluated; none while it waits for its first slot."""
        return min(self.position, self.prompt_length) if not self.made else self.prompt_length

    @property
    def pending(self) -> int:
        """Tokens to be evaluated next in one go: all there are, or those before a picture."""
        count = len(self.tokens) - self.position
        if count > 1 and self.pictures:
            count = min(
                [count, *(at - self.position for at in self.pictures if at >= self.position)]
            )
        return count

    def draft(self, most: int) -> Tokens[int]:
        """What may follow, ``most`` tokens at most and no more than may be made; often nothing."""
        if self.state is not State.DECODING:
            return ()
        return self._speculation.draft(self.tokens, self._draftable(most))

    def longest_draft(self, most: int) -> int:
        """Tokens, of ``most``, that something else may draft."""
        return self._draftable(min(most, self._speculation.longest))

    def _draftable(self, most: int) -> int:
        most = min(most, self._capacity - len(self.tokens))
        if self._limits.tokens is not None:
            most = min(most, self._limits.tokens - self.made - 1)
        return most

    def judge(self, drafted: int, right: int, *, value: float) -> None:
        """The first ``right`` tokens of a draft of its own followed; see ``Speculation.judge``."""
        self._speculation.judge(drafted, right, value=value)

    @property
    def left(self) -> int | None:
        """Tokens that it may still make; None for no limit but the context's."""
        most = self._limits.tokens
        return None if most is None else max(most - self.made, 0)

    @property
    def lead(self) -> int:
        """Tokens made that the guest has not taken."""
        return self.made - self._taken

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.state is State.ENDED

    def accept(self, token: int) -> End | None:
        """Take over a token just made, for ``hand_over``; the end, if it was the last."""
        self.tokens.append(token)
        if self.stream and (seen := self.sampler.seen()) is not None:
            self.seen.append(seen)
        errno = self._end_after(token)
        if errno is not None:
            return End(errno, token)
        if self.stream:
            self._fresh.append(token)
            if self.left == 0:
                return End(NnErrno.END_OF_SEQUENCE)
        return None

    def hand_over(self) -> None:
        """Hand over what was made; ``arrivals`` are told by the caller."""
        for token in self._fresh:
            self.handed.put(token)
        self._fresh.clear()

    def _end_after(self, token: int) -> NnErrno | None:
        limits = self._limits
        if not limits.ignore_end and self._vocabulary.is_end(token):
            return NnErrno.END_OF_SEQUENCE
        if limits.reverse_prompt and self._reversed(token, limits.reverse_prompt):
            return NnErrno.END_OF_SEQUENCE
        if len(self.tokens) > self._capacity:
            return NnErrno.CONTEXT_FULL
        if self.left == 0 and not self.stream:
            return NnErrno.END_OF_SEQUENCE
        return None

    def _reversed(self, token: int, text: bytes) -> bool:
        tail = self._tail + self._vocabulary.piece(token)
        self._tail = tail[-len(text) :]
        return text in tail

    def end(self, end: End | None) -> None:
        """Be over, free the sampler and hand over ``end``; None for one that no one reads."""
        self.become(State.ENDED)
        self.sampler.close()
        self._arrivals.end()
        self.hand_over()
        if end is not None:
            self.handed.put(end)
            self._arrivals.tell()

    def take(self, owner: Owner, timeout: float | None = None) -> int | End | None:
        """The next token, or the end; blocks. None if ``wake`` woke it.

        Raises queue.Empty after ``timeout`` seconds; None is no limit.
        """
        return self._took(self.handed.get(timeout=timeout), owner)

    def ask(self, owner: Owner, timeout: float) -> int | End | None:
        """The same for a guest that asks several sequences in turn.

        Raises queue.Empty also as soon as any sequence was handed something since this one was
        last asked, once for each item: so what comes first is taken first, and none keeps the
        guest from another.
        """
        arrived = self._arrivals.count
        if self.handed.empty() and self._asked == arrived:
            self._arrivals.wait(arrived, timeout)
            arrived = self._arrivals.count
        self._asked = max(min(self._asked + 1, arrived), arrived - UNREAD)
        return self._took(self.handed.get_nowait(), owner)

    def _took(self, item: int | End | None, owner: Owner) -> int | End | None:
        if item is not None:
            self._taken += 1
            if self.state is State.PAUSED and self.lead <= RESUME:
                owner.resume(self)
        return item

    def wake(self) -> None:
        """Wake a blocked ``take`` or ``ask``. Any thread."""
        self.handed.put(None)
        self._arrivals.tell()
