"""Which sequences are computed in a step, and how many tokens of each.

First come, first served into the slots; in a step, one token of every sequence that decodes,
then parts of the prompts, so that a long prompt never stalls the others.
"""

import math
import time
from collections import deque
from dataclasses import dataclass

from .cache import Cache, Choice
from .sequence import LOOKAHEAD, RESUME, Sequence

MAX_WAITING = 1024
"""Sequences that may wait for a slot."""
TURN = 1.0
"""Seconds that a sequence may keep its slot while others wait for one."""


@dataclass(frozen=True)
class Part:
    """The next ``count`` tokens of ``sequence``."""

    sequence: Sequence
    count: int


class Scheduler:
    """The waiting and the running sequences of one engine. Used by its thread alone."""

    def __init__(self, cache: Cache, most_preempted: int) -> None:
        self.waiting: deque[Sequence] = deque()
        self.preempted: deque[Sequence] = deque()
        """Those that had to leave their slot and wait for another."""
        self.running: list[Sequence] = []
        self.paused: list[Sequence] = []
        self._cache = cache
        self._most_preempted = most_preempted

    @property
    def overfull(self) -> bool:
        """Whether more wait than may."""
        return len(self.waiting) > MAX_WAITING

    def all(self) -> list[Sequence]:
        """Every sequence that has not ended."""
        return [*self.running, *self.paused, *self.preempted, *self.waiting]

    def overdue(self) -> list[Sequence]:
        """The sequences whose time is over."""
        now = time.monotonic()
        return [sequence for sequence in self.all() if sequence.deadline <= now]

    def patience(self) -> float | None:
        """Seconds until a paused sequence may have to make place, or a time be over; or never."""
        soonest = min((sequence.deadline for sequence in self.all()), default=math.inf)
        if self.waiting or self.preempted:
            soonest = min(soonest, time.monotonic() + TURN / 2)
        return None if soonest == math.inf else max(soonest - time.monotonic(), 0.0)

    def admit(self) -> tuple[Sequence, Choice] | None:
        """The sequence that waits longest and its place; None if either is missing."""
        queue = self._next()
        if not queue:
            return None
        choice = self._cache.choose(queue[0].tokens)
        return None if choice is None else (queue[0], choice)

    def _next(self) -> deque[Sequence]:
        """The queue whose first sequence has its turn.

        Once as many are preempted as may be, these go on in turn before anything new begins.
        """
        if not self.waiting or len(self.preempted) >= max(self._most_preempted, 1):
            return self.preempted or self.waiting
        if self.preempted and self.preempted[0].since < self.waiting[0].since:
            return self.preempted
        return self.waiting

    def victim(self) -> Sequence | None:
        """The sequence that makes place for one that waits, since its turn is over, if any.

        First one whose guest does not read; then one that runs, and has made a token at least.
        """
        if not (self.waiting or self.preempted) or self._cache.free():
            return None
        over = time.monotonic() - TURN
        turns = [each for each in self.paused if each.slot >= 0 and each.paused_at <= over]
        if not turns and self._most_preempted:
            turns = [
                each for each in self.running if each.since <= over and each.made > each.made_before
            ]
        return min(turns, key=lambda each: each.since, default=None)

    def preempt(self, sequence: Sequence) -> None:
        """Take ``sequence`` out of its slot; it waits for another, if it is not paused."""
        self._cache.leave(sequence)
        sequence.position = 0
        if sequence in self.running:
            self.running.remove(sequence)
            self._wait(sequence)

    def _wait(self, sequence: Sequence) -> None:
        sequence.since = time.monotonic()
        self.preempted.append(sequence)

    def begin_turn(self, sequence: Sequence) -> None:
        """Let ``sequence`` run, which waited: it has its slot."""
        (self.preempted if sequence in self.preempted else self.waiting).remove(sequence)
        sequence.since = time.monotonic()
        sequence.made_before = sequence.made
        self._run(sequence)

    def _run(self, sequence: Sequence) -> None:
        self.running.append(sequence)
        self.moved()

    def moved(self) -> None:
        """Sequences run in the order of their slots: llama.cpp computes neighbours together."""
        self.running.sort(key=lambda other: other.slot)

    def plan(self, room: int, prompt_room: int) -> list[Part]:
        """The parts of a step of at most ``room`` tokens, ``prompt_room`` of them of prompts.

        Half of these are of the prompt that began first, the others of the shortest, so that a
        short one need not wait for a long one, nor a long one for many short ones.
        """
        counts = {each: count for each in self.running if (count := each.pending)}
        prompts = sorted((each for each in counts if counts[each] > 1), key=lambda each: each.since)
        left = min(room - (len(counts) - len(prompts)), prompt_room)
        shares = dict.fromkeys(prompts[:1], min(counts[prompts[0]], left // 2) if prompts else 0)
        left -= sum(shares.values())
        for each in (*sorted(prompts[1:], key=lambda each: counts[each]), *prompts[:1]):
            more = min(counts[each] - shares.get(each, 0), left)
            shares[each] = shares.get(each, 0) + more
            left -= more
        parts = (Part(each, shares.get(each, 1)) for each in counts)
        return [part for part in parts if part.count]

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
            self._run(sequence)
        else:
            self._wait(sequence)

    def remove(self, sequence: Sequence) -> None:
        """Forget ``sequence``, wherever it is; its slot keeps its cache."""
        for place in (self.running, self.paused, self.preempted, self.waiting):
            if sequence in place:
                place.remove(sequence)
        if sequence.slot >= 0:
            self._cache.leave(sequence)
