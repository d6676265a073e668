"""Which sequences have a slot, and which of their tokens a step computes.

First come, first served into the slots; in a step, one token of every sequence that decodes,
then parts of the prompts, so that a long prompt never stalls the others.
"""

import math
import time
from collections import deque
from collections.abc import Iterator
from collections.abc import Sequence as Tokens
from dataclasses import dataclass

from ..llama.adapters import Scales
from .cache import Cache, Choice
from .costs import CPU
from .sequence import LOOKAHEAD, RESUME, Sequence, State

MAX_WAITING = 1024
"""Sequences that may wait for a slot."""
TURN = 1.0
"""Seconds that a sequence may keep its slot while others wait for one, at least."""
PATIENT = 4
"""Turns that a sequence waits at least before one that computes must leave its slot for it: where
answers are short, slots become free before that, and no answer need stand still."""
SWAPPING = 0.03
"""The part of the time that swapping sequences may take: turns are longer where that takes long."""


@dataclass(frozen=True)
class Part:
    """The next ``count`` tokens of ``sequence``, and the ``draft`` of what may follow them."""

    sequence: Sequence
    count: int
    draft: Tokens[int] = ()
    further: float = 0.0
    """Plain steps that it took to make the draft, if a model did."""
    sure: Tokens[float] = ()
    """How sure the model was of each token."""

    @property
    def rows(self) -> int:
        """Rows of a batch that it takes."""
        return self.count + len(self.draft)

    @property
    def read(self) -> int:
        """Tokens of the prompt among its own."""
        left = self.sequence.prompt_length - self.sequence.position
        return min(self.count, max(left, 0))

    @property
    def decodes(self) -> bool:
        """Whether its tokens are no prompt's, as far as a step's time tells."""
        return self.count == 1


@dataclass(frozen=True)
class SwapRoom:
    """``bytes`` for sequences that left their slots; one of ``cells`` tokens takes ``full`` bytes.

    ``cells`` is 1 for a model whose sequences take as much whatever they hold.
    """

    bytes: int
    full: int
    cells: int

    def size(self, sequence: Sequence) -> int:
        """Bytes that ``sequence`` takes, about."""
        return self.full * min(len(sequence.tokens), self.cells) // self.cells


class Scheduler:
    """The sequences of one engine, and the one who changes their states. For its thread alone.

    As many sequences as there are slots may have left theirs for others, if there is ``room``
    for them: at any time, each of twice as many sequences as there are slots gets its turns.
    While more than ``drafting`` decode, none drafts: they fill a step by themselves.
    """

    def __init__(self, cache: Cache, room: SwapRoom, *, drafting: int = CPU.sequences) -> None:
        self.waiting: deque[Sequence] = deque()
        self.preempted: deque[Sequence] = deque()
        self.running: list[Sequence] = []
        """Those that prefill or decode, in the order of their slots."""
        self.paused: list[Sequence] = []
        self._cache = cache
        self._room = room
        self._drafting = drafting
        self._adapters: Scales = ()
        """Those of the step before, where not all are alike."""
        self.swap_seconds = 0.0
        """What it takes to give a slot to another sequence."""
        self.step_seconds = 0.0
        """What a step takes, whatever is in it."""
        self._queues: dict[State, deque[Sequence] | list[Sequence]] = {
            State.WAITING: self.waiting,
            State.PREEMPTED: self.preempted,
            State.PREFILLING: self.running,
            State.DECODING: self.running,
            State.PAUSED: self.paused,
        }

    def __iter__(self) -> Iterator[Sequence]:
        """Every sequence that has not ended."""
        return iter([*self.running, *self.paused, *self.preempted, *self.waiting])

    def add(self, sequence: Sequence) -> bool:
        """Let ``sequence`` wait for a slot; whether there are not too many that do."""
        self.waiting.append(sequence)
        return len(self.waiting) <= MAX_WAITING

    def overdue(self) -> list[Sequence]:
        """The sequences whose time is over."""
        now = time.monotonic()
        return [sequence for sequence in self if sequence.deadline <= now]

    def patience(self) -> float | None:
        """Seconds until a paused sequence may have to make place, or a time be over; or never."""
        soonest = min((sequence.deadline for sequence in self), default=math.inf)
        if self.waiting or self.preempted:
            soonest = min(soonest, time.monotonic() + TURN / 2)
        return None if soonest == math.inf else max(soonest - time.monotonic(), 0.0)

    def admissible(self) -> tuple[Sequence, Choice] | None:
        """The sequence whose turn it is, and a place for it; None if either is missing.

        Those that wait for a slot of their own, which is taken, let others go before.
        """
        if not self._cache.free():
            return None
        first = self._next_queue()
        second = self.waiting if first is self.preempted else self.preempted
        for each in (*first, *second):
            choice = self._cache.choose(
                each.tokens,
                reuse=each.reuse or each.made > 0,
                adapters=each.adapters,
                place=each.place,
            )
            if choice is not None:
                return each, choice
        return None

    def _next_queue(self) -> deque[Sequence]:
        """The queue whose first sequence has its turn.

        Once as many are preempted as may be, these go on in turn before anything new begins.
        """
        if not self.waiting or self._full():
            return self.preempted or self.waiting
        if self.preempted and self.preempted[0].since < self.waiting[0].since:
            return self.preempted
        return self.waiting

    def _full(self) -> bool:
        """Whether one of those that left their slots, the last one too, must come back next."""
        held = [self._room.size(each) for each in self.preempted]
        return len(held) > self.most_preempted or sum(held) > self._room.bytes

    @property
    def most_preempted(self) -> int:
        """How many sequences may have left their slots at once: none where all go one by one."""
        slots = len(self._cache.slots)
        return slots if slots > 1 and self._room.bytes else 0

    def admit(self, sequence: Sequence) -> None:
        """Let ``sequence`` run: it has its slot."""
        sequence.since = time.monotonic()
        self._move(sequence, State.PREFILLING)

    @property
    def _turn(self) -> float:
        return max(TURN, self.swap_seconds * len(self._cache.slots) / SWAPPING)

    def victim(self) -> Sequence | None:
        """The sequence that makes place for one that waits, since its turn is over, if any.

        First one whose guest does not read; then, for one that has waited long, one that has made a
        token in its slot at least, unless a slot becomes free soon. For one that waits for a slot
        of its own it is the one in there.
        """
        queue = self._next_queue()
        if not queue or ((place := queue[0].place) is None and self._cache.free()):
            return None
        now = time.monotonic()
        over = now - TURN
        turns = [each for each in self.paused if each.slot >= 0 and each.paused_at <= over]
        patient = now - queue[0].since < PATIENT * TURN
        if not turns and self.most_preempted and not patient and not self._frees_soon(place):
            over = now - self._turn
            turns = [each for each in self.running if each.since <= over and self._can_leave(each)]
        turns = [each for each in turns if place in (None, each.slot)]
        return min(turns, key=lambda each: each.since, default=None)

    def _frees_soon(self, place: int | None) -> bool:
        """Whether a sequence in ``place``, None for any, makes its last token within a turn."""
        return any(
            each.left is not None
            and each.left * self.step_seconds <= TURN
            and each.state is State.DECODING
            and place in (None, each.slot)
            for each in self.running
        )

    def _can_leave(self, sequence: Sequence) -> bool:
        fits = self._room.size(sequence) <= self._room.bytes
        return fits and sequence.state is State.DECODING

    def preempt(self, sequence: Sequence) -> None:
        """Take ``sequence`` out of its slot; unless it is paused, it waits for another."""
        self._cache.leave(sequence)
        sequence.position = 0
        if sequence.state is State.DECODING:
            self._wait_again(sequence)

    def _wait_again(self, sequence: Sequence) -> None:
        sequence.since = time.monotonic()
        self._move(sequence, State.PREEMPTED)

    def at_picture(self) -> Sequence | None:
        """A running sequence whose next positions are a picture's."""
        for sequence in self.running:
            if sequence.pictures and sequence.position in sequence.pictures:
                return sequence
        return None

    @property
    def decoding(self) -> bool:
        """Whether any sequence decodes."""
        return any(sequence.state is State.DECODING for sequence in self.running)

    def plan(self, rows: int, prompt_rows: int) -> list[Part]:
        """The parts of a step of at most ``rows`` tokens, ``prompt_rows`` of them of prompts."""
        counts = {each: count for each in self._alike() if (count := each.pending)}
        shares = _shares(counts, rows, prompt_rows)
        most = self._longest_draft(rows - sum(shares.get(each, 1) for each in counts))
        parts = (Part(each, shares.get(each, 1), each.draft(most)) for each in counts)
        return [part for part in parts if part.count]

    def _alike(self) -> list[Sequence]:
        """Those that run with the same adapters: one set of them after another, in turn."""
        sets = list(dict.fromkeys(each.adapters for each in self.running if each.pending))
        if len(sets) < 2:
            return self.running
        turn = sets.index(self._adapters) + 1 if self._adapters in sets else 0
        self._adapters = sets[turn % len(sets)]
        return [each for each in self.running if each.adapters == self._adapters]

    def _longest_draft(self, rows: int) -> int:
        """Tokens that each sequence may draft, of ``rows`` that are left."""
        decoding = sum(each.state is State.DECODING for each in self.running)
        return rows // decoding if 0 < decoding <= self._drafting else 0

    def computed(self, part: Part) -> bool:
        """The tokens of ``part`` are evaluated; whether the next one can be made now."""
        sequence = part.sequence
        sequence.position += part.count
        if sequence.position < len(sequence.tokens):
            return False
        if sequence.state is State.PREFILLING:
            self._move(sequence, State.DECODING)
        return True

    def pause_if_ahead(self, sequence: Sequence) -> None:
        """Pause ``sequence``, which decodes, if it is far enough ahead of its guest."""
        if not sequence.stream or sequence.lead < LOOKAHEAD:
            return
        sequence.paused_at = time.monotonic()
        self._move(sequence, State.PAUSED)  # from here on the guest says when it has caught up
        if sequence.lead <= RESUME:
            self.resume(sequence)

    def resume(self, sequence: Sequence) -> None:
        """Let ``sequence`` go on: at once if it has its slot yet, else when it gets one."""
        if sequence.state is not State.PAUSED:
            return
        if sequence.slot >= 0:
            self._move(sequence, State.DECODING)
        else:
            self._wait_again(sequence)

    def end(self, sequence: Sequence) -> None:
        """Forget ``sequence``, which is about to end, wherever it is; its slot keeps its cache."""
        self._queues[sequence.state].remove(sequence)
        if sequence.slot >= 0:
            self._cache.leave(sequence)

    def _move(self, sequence: Sequence, state: State) -> None:
        """Let ``sequence`` take ``state``, and its place among those in it."""
        before, after = self._queues[sequence.state], self._queues[state]
        sequence.become(state)
        if after is not before:
            before.remove(sequence)
            after.append(sequence)
            if after is self.running:
                self.sort()

    def sort(self) -> None:
        """Let sequences run in the order of their slots: llama.cpp computes neighbours together."""
        self.running.sort(key=lambda each: each.slot)


def _shares(counts: dict[Sequence, int], rows: int, prompt_rows: int) -> dict[Sequence, int]:
    """How many tokens a step computes of each prompt, of those that are pending.

    Half of them are of the prompt that began first, the others of the shortest, so that a short
    one need not wait for a long one, nor a long one for many short ones.
    """
    prompts = [each for each in counts if counts[each] > 1]
    if not prompts:
        return {}
    first, *others = sorted(prompts, key=lambda each: each.since)
    left = min(rows - (len(counts) - len(prompts)), prompt_rows)
    shares = {first: min(counts[first], left // 2)}
    left -= shares[first]
    for each in (*sorted(others, key=lambda each: counts[each]), first):
        more = min(counts[each] - shares.get(each, 0), left)
        shares[each] = shares.get(each, 0) + more
        left -= more
    return shares
