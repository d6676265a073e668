"""Drafts of what sequences may say next, made by a small model.

Its context has a slot for each of the large one's, with the end of what is said there. It makes the
likeliest tokens, one after another, for as long as it is sure enough of them all; the large model
computes them in one step and samples after each as ever, so that the text is the large one's own.

What that costs and saves is counted in plain steps of the large model, and what was not saved is
not spent: a model that foretells badly is hardly ever asked.
"""

import math
import time
from collections.abc import Sequence as Tokens
from dataclasses import dataclass, field, replace
from weakref import ReferenceType, ref

import numpy as np

from ..llama.context import ContextParameters, LlamaContext
from ..llama.model import Model
from ..sampling.sampler import logits
from .costs import Costs, drafting
from .counters import Counters
from .scheduler import Part
from .sequence import Sequence, State

FIRST_READ = 1.5
"""Plain steps that reading a new text's end may take."""
SHORTEST = 16
"""Tokens that are read of a new text at least."""
ADVANCE = 4.0
"""Plain steps that all sequences together may lose before anything is saved; more if no draft that
saves anything costs so little."""
SHARE = 0.02
"""The part of their plain steps that they may lose for ever."""
MOST_SAVED = 32.0
BINS = 10
PRIOR = 4
"""Tokens that what is taken for granted of a bin counts as."""
LONGEST = 32
"""Tokens of a draft at most, and one."""


@dataclass
class _Slot:
    """What lies in a slot of the small model: ``tokens``, which ``owner`` has from ``begin`` on."""

    tokens: list[int] = field(default_factory=list)
    begin: int = 0
    owner: "ReferenceType[Sequence] | None" = None


@dataclass
class _Draft:
    """A draft that is being made: ``most`` tokens at most, ``likely`` is how likely all are."""

    sequence: Sequence
    most: int
    missing: list[int]
    made: list[int] = field(default_factory=list)
    sure: list[float] = field(default_factory=list)
    hoped: float = 0.0
    """Tokens that come true, as far as is known."""
    likely: float = 1.0
    cost: float = 0.0
    row: int = 0

    def cut(self, count: int) -> None:
        """Leave its first ``count`` tokens."""
        del self.made[count:], self.sure[count:]


class _Odds:
    """How often tokens come true of which the small model is more or less sure.

    At first far more often than it is sure of them: most answers take likely tokens above all, and
    what is never tried is never learnt.
    """

    def __init__(self) -> None:
        middles = [(each + 0.5) / BINS for each in range(BINS)]
        self._right = [PRIOR * math.pow(middle, 0.25) for middle in middles]
        self._all = [float(PRIOR)] * BINS

    def of(self, sure: float) -> float:
        """The part of tokens that come true."""
        place = _bin(sure)
        return self._right[place] / self._all[place]

    def learn(self, sure: Tokens[float], right: int) -> None:
        """Of tokens in a row, the first ``right`` came true, and the next one did not."""
        for number, each in enumerate(sure[: right + 1]):
            place = _bin(each)
            self._right[place] += number < right
            self._all[place] += 1


def _bin(sure: float) -> int:
    return min(int(sure * BINS), BINS - 1)


class Drafter:
    """``model`` drafts for an engine on ``target``. For the engine's thread alone."""

    def __init__(
        self,
        model: Model,
        parameters: ContextParameters,
        target: Model,
        counters: Counters,
        costs: Costs,
    ) -> None:
        self._context = LlamaContext(model, parameters)
        self._counters = counters
        self._costs = costs
        self._slots = [_Slot() for _ in range(parameters.parallel)]
        self._vocabulary = min(model.vocabulary.size, target.vocabulary.size)
        self._size = model.vocabulary.size
        self._step, self._begin = drafting(model, target)
        self._token = costs.model_row + self._step
        self._window = max(int(FIRST_READ / (self._costs.prompt_row * self._step)), SHORTEST)
        self._window = min(self._window, self._context.cells // 2)
        shortest = self._least(1.0)
        self._savings = max(ADVANCE, FIRST_READ + self._dear + self._token * shortest)
        self._odds = _Odds()
        self._values = np.empty(self._vocabulary, dtype=np.float32)

    @property
    def _dear(self) -> float:
        """Plain steps that a draft takes whatever its length."""
        return self._begin + self._costs.draft

    def _least(self, value: float) -> int:
        """Tokens that save something if all come true, each of ``value``; 0 if none do."""
        saved = value - self._token
        return max(math.ceil(self._dear / saved), self._costs.least) if saved > 0 else 0

    def fill(self, parts: list[Part], room: int) -> list[Part]:
        """``parts`` with drafts where they have none, in a batch of ``room`` rows."""
        decoding = [each for each in parts if each.sequence.state is State.DECODING]
        if not decoding:
            return parts
        value = self._costs.worth(len(decoding))
        most = (room - sum(part.rows for part in parts)) // len(decoding)
        least = self._least(value)
        if not 0 < least <= most:
            return parts
        drafts = self._begun([part for part in decoding if not part.draft], least, most, value)
        if not drafts:
            return parts
        started = time.perf_counter()
        self._make(drafts, value)
        self._counters.decode_seconds += time.perf_counter() - started
        made = {each.sequence: each for each in drafts}
        return [
            replace(part, draft=each.made, sure=each.sure, further=each.cost)
            if (each := made.get(part.sequence))
            else part
            for part in parts
        ]

    def judge(self, part: Part, right: int, value: float) -> None:
        """The first ``right`` tokens of the draft of ``part`` were made, each of that ``value``."""
        saved = SHARE
        if part.further:
            self._counters.draft_model_tokens += len(part.draft)
            self._counters.draft_model_tokens_accepted += right
            self._odds.learn(part.sure, right)
            saved += right * value - self._computed(len(part.draft)) - part.further - self._begin
        self._savings = min(self._savings + saved, MOST_SAVED)

    def _computed(self, drafted: int) -> float:
        """Plain steps that so many tokens take the large model."""
        return self._costs.draft * bool(drafted) + self._costs.model_row * drafted

    def _begun(self, parts: list[Part], least: int, most: int, value: float) -> list[_Draft]:
        """Those drafts of ``least`` tokens or more that can be paid, ``most`` at most each.

        With what the model has not seen of their sequences.
        """
        drafts: list[_Draft] = []
        rows = self._context.room
        cost = self._token / value
        for part in parts:
            sequence = part.sequence
            affordable = max(int((self._savings - self._dear) / cost), 0)
            longest = self._costs.whole(sequence.longest_draft(min(most, affordable)))
            missing = self._missing(sequence) if longest >= least else 0
            if not 0 < missing <= rows:
                continue
            rows -= missing
            slot = self._slots[sequence.slot]
            tokens = sequence.tokens[len(sequence.tokens) - missing :]
            self._savings -= self._step * self._costs.prompt_row * (missing - 1)
            drafts.append(_Draft(sequence, longest, tokens))
            slot.tokens += tokens
        return drafts

    def _missing(self, sequence: Sequence) -> int:
        """Cut the slot of ``sequence`` to what it still says; how many tokens it lacks."""
        slot, tokens = self._slots[sequence.slot], sequence.tokens
        if slot.owner is None or slot.owner() is not sequence:
            slot.owner, slot.begin = ref(sequence), 0
        common = _common(slot.tokens, tokens, slot.begin)
        missing = len(tokens) - slot.begin - common
        after_picture = next((n for n in range(len(tokens), 0, -1) if tokens[n - 1] < 0), 0)
        if missing > self._window or slot.begin < after_picture or self._full(slot, missing):
            missing = min(self._window, len(tokens) - after_picture)
            slot.begin, common = len(tokens) - missing, 0
        kept = self._context.keep(sequence.slot, common)
        if kept < common:
            missing = min(self._window, len(tokens) - after_picture)
            slot.begin = len(tokens) - missing
        slot.tokens = slot.tokens[:kept]
        return missing

    def _full(self, slot: _Slot, missing: int) -> bool:
        return len(slot.tokens) + missing + LONGEST > self._context.cells

    def _make(self, drafts: list[_Draft], value: float) -> None:
        """Make ``drafts``, each until a further token is not likely to save anything.

        A token is of ``value``. Those that are not likely to save what computing them takes are
        given up.
        """
        least = self._token / value
        going = drafts
        while going:
            rows = 0
            for each in going:
                tokens = each.made[-1:] or each.missing
                slot = self._slots[each.sequence.slot]
                begin = len(slot.tokens) - (0 if each.made else len(tokens))
                rows = self._context.put(rows, tokens, begin, each.sequence.slot, 1)
                each.row = rows - 1
                each.cost += self._step
                slot.tokens += each.made[-1:]
            self._counters.draft_model_steps += 1
            if self._context.decode(rows):
                self._forget(going)
                return
            going = [each for each in going if self._extend(each, least)]
        for each in drafts:
            count = self._costs.whole(len(each.made))
            pays = each.hoped * value > self._computed(len(each.made))
            each.cut(count if pays and count >= self._costs.least else 0)

    def _extend(self, each: _Draft, least: float) -> bool:
        """Add the likeliest token to a draft, if it is likely enough; whether to go on."""
        token, sure = self._likeliest(each.row)
        each.likely *= self._odds.of(sure)
        if each.likely < least:
            return False
        each.made.append(token)
        each.sure.append(sure)
        each.hoped += each.likely
        return len(each.made) < each.most

    def _likeliest(self, row: int) -> tuple[int, float]:
        """The likeliest token after ``row``, and its probability."""
        values = logits(self._context.pointer, row, self._size)[: self._vocabulary]
        token = int(values.argmax())
        np.subtract(values, values[token], out=self._values)
        np.exp(self._values, out=self._values)
        return token, float(1.0 / self._values.sum())

    def _forget(self, drafts: list[_Draft]) -> None:
        for each in drafts:
            each.cut(0)
            self._context.keep(each.sequence.slot, 0)
            self._slots[each.sequence.slot] = _Slot()

    def use_threads(self, most: int) -> None:
        """Compute with ``most`` threads from now on."""
        self._context.use_threads(most)

    def close(self) -> None:
        """Free its context."""
        self._context.close()


def _common(cached: list[int], tokens: list[int], begin: int) -> int:
    """How many of ``cached`` are those of ``tokens`` from ``begin`` on; the last is not counted."""
    limit = min(len(cached), len(tokens) - begin - 1)
    low, high = 0, max(limit, 0)
    while low < high:
        middle = (low + high + 1) // 2
        if cached[low:middle] == tokens[begin + low : begin + middle]:
            low = middle
        else:
            high = middle - 1
    return low
