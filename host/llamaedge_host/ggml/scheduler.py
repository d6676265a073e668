"""Which sequences are computed in a step, and how many tokens of each.

First come, first served into the slots; in a step, one token of every sequence that decodes,
then parts of the prompts, so that a long prompt never stalls the others.
"""

import time
from collections import deque
from dataclasses import dataclass

from .cache import Cache, Choice
from .sequence import LOOKAHEAD, RESUME, Sequence

MAX_WAITING = 1024
"""Sequences that may wait for a slot."""
STALLED = 1.0
"""Seconds that a guest may leave a paused sequence in a slot that others wait for."""


@dataclass(frozen=True)
class Part:
    """The next ``count`` tokens of ``sequence``."""

    sequence: Sequence
    count: int


class Scheduler:
    """The waiting and the running sequences of one engine. Used by its thread alone."""

    def __init__(self, cache: Cache) -> None:
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []
        self.paused: list[Sequence] = []
        self._cache = cache

    @property
    def full(self) -> bool:
        """Whether no further sequence can wait."""
        return len(self.waiting) >= MAX_WAITING

    def all(self) -> list[Sequence]:
        """Every sequence that has not ended."""
        return [*self.running, *self.paused, *self.waiting]

    def admit(self) -> tuple[Sequence, Choice] | None:
        """The sequence that waits longest and its place; None if either is missing."""
        if not self.waiting:
            return None
        choice = self._cache.choose(self.waiting[0].tokens)
        if choice is None and self._preempt():
            choice = self._cache.choose(self.waiting[0].tokens)
        if choice is None:
            return None
        return self.waiting.popleft(), choice

    def _preempt(self) -> bool:
        """Free the slot of the sequence that has been paused longest, if long enough."""
        held = [sequence for sequence in self.paused if sequence.slot >= 0]
        if not held:
            return False
        stalled = min(held, key=lambda sequence: sequence.paused_at)
        if time.monotonic() - stalled.paused_at < STALLED:
            return False
        self._cache.leave(stalled)
        stalled.position = 0
        return True

    def run(self, sequence: Sequence) -> None:
        """``sequence`` has its slot. Slots run in order: llama.cpp computes neighbours together."""
        self.running.append(sequence)
        self.running.sort(key=lambda other: other.slot)

    def plan(self, room: int, prompt_room: int) -> list[Part]:
        """The parts of a step of at most ``room`` tokens, ``prompt_room`` of them of prompts."""
        parts: list[Part] = []
        waiting = [(each, count) for each in self.running if (count := each.pending)]
        prompts = 0
        for _, pending in waiting:
            if pending > 1:
                prompts += 1
        left = min(room - (len(waiting) - prompts), prompt_room)
        for sequence, pending in waiting:
            if pending > 1:
                pending = min(pending, max(left // prompts, 1))
                prompts -= 1
                left -= pending
            parts.append(Part(sequence, pending))
        return parts

    def at_picture(self) -> Sequence | None:
        """A running sequence whose next positions are a picture's."""
        for sequence in self.running:
            if sequence.pictures and sequence.position in sequence.pictures:
                return sequence
        return None

    def pause_if_ahead(self, sequence: Sequence) -> None:
        """Pause ``sequence`` if it is far enough ahead of its guest."""
        if sequence.whole or sequence.lead < LOOKAHEAD:
            return
        sequence.paused = True  # from here on the guest says so when it has caught up
        if sequence.lead <= RESUME:
            sequence.paused = False
            return
        sequence.paused_at = time.monotonic()
        self.running.remove(sequence)
        self.paused.append(sequence)

    def resume(self, sequence: Sequence) -> None:
        """Let ``sequence`` go on: at once if it has its slot yet, else when it gets one."""
        if not sequence.paused or sequence.ended:
            return
        sequence.paused = False
        self.paused.remove(sequence)
        if sequence.slot >= 0:
            self.run(sequence)
        else:
            self.waiting.append(sequence)

    def remove(self, sequence: Sequence) -> None:
        """Forget ``sequence``, wherever it is; its slot keeps its cache."""
        for place in (self.running, self.paused, self.waiting):
            if sequence in place:
                place.remove(sequence)
        if sequence.slot >= 0:
            self._cache.leave(sequence)
