"""The engine: a llama context that computes all its sequences, a step at a time."""

import threading
import time
from collections.abc import Callable
from collections.abc import Sequence as Sequence_
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ...nn.errno import NnErrno
from ..errors import GgmlError
from ..llama.adapters import AdapterFile, Adapters
from ..llama.capacity import Sizing
from ..llama.compute import UNLOADED, ComputeThread
from ..llama.contention import IdleCpus
from ..llama.context import LlamaContext
from ..llama.library import first_error, forget_errors
from ..llama.model import Model
from ..sampling.sampler import logits
from .arrivals import Arrivals
from .cache import Cache, Slot
from .costs import costs
from .counters import Counters
from .drafter import Drafter
from .handover import Handover
from .keeper import Keeper
from .pace import Pace
from .placement import Placement
from .scheduler import MAX_WAITING, Part, Scheduler, SwapRoom
from .sequence import End, Sequence
from .slots import SlotState
from .speculation import Speculation
from .swap import Swap
from .threads import Threads

Found = TypeVar("Found")


class Engine:
    """Computes sequences on ``model``, as ``sizing`` says: a ``compute.Worker``.

    It schedules in ``begin_step``, then computes and takes the results in ``step``. ``draft`` is
    the model that drafts for it, if ``sizing`` has a context for that. ``swap`` is
    how many bytes of swapped states it may keep; ``arrivals`` hears of what it hands over, as of
    what other engines do. ``submit``, ``resume``, ``cancel`` and ``close`` may be called from any
    thread. ``adapters`` change its weights, by scales that each sequence has. Raises GgmlError for
    a model that makes no text.
    """

    def __init__(
        self,
        model: Model,
        sizing: Sizing,
        thread: ComputeThread,
        *,
        swap: int,
        arrivals: Arrivals,
        draft: Model | None = None,
        adapters: Sequence_[AdapterFile] = (),
    ) -> None:
        self.model = model
        self.arrivals = arrivals
        self.counters = Counters()
        self.adapters = Adapters(adapters, model)
        self._context = LlamaContext(model, sizing.parameters)
        if self._context.memory is None or model.has_encoder:
            self._context.close()
            raise GgmlError(
                NnErrno.INVALID_ARGUMENT,
                f"{model.path.name} ({model.header.architecture}) is an encoder: it gives"
                ' embeddings (metadata {"embedding": true}), not text',
            )
        self.cells = self._context.cells
        self.micro_batch = self._context.micro_batch
        self.parallel = self._context.sequences
        self._costs = costs(model)
        self.drafts = not model.has_state
        """Whether what was drafted wrongly can be cut from the KV cache."""
        self._drafter: Drafter | None = None
        if draft is not None and sizing.draft is not None:
            try:
                self._drafter = Drafter(draft, sizing.draft, model, self.counters, self._costs)
            except BaseException:
                self._context.close()
                raise
        self._swap = Swap(swap)
        fixed = model.has_state or model.window
        self._pace = Pace()
        self._cache = Cache(
            self.parallel,
            self._context,
            self._swap,
            self._pace,
            token_bytes=0 if fixed else sizing.sequence_bytes // self.cells,
        )
        self._placement = Placement(
            self._context, self._cache, self._swap, self._pace, self.counters
        )
        self._keeper = Keeper(
            model,
            sizing.parameters,
            self._context,
            self._cache,
            self._placement,
            self._swap,
            adapters,
        )
        room = SwapRoom(swap, sizing.sequence_bytes, cells=1 if fixed else self.cells)
        self._scheduler = Scheduler(self._cache, room, drafting=self._costs.sequences)
        self.concurrent = self.parallel + self._scheduler.most_preempted
        self._threads = Threads(max(sizing.parameters.threads), IdleCpus())
        self._thread = thread
        self._handover = Handover(arrivals)
        self._lock = threading.Lock()
        self._closed = False
        thread.add(self)

    def speculation(self, longest: int) -> Speculation:
        """The drafts of a sequence, of ``longest`` tokens at most; none where none can be cut."""
        return Speculation(longest if self.drafts else 0, self._costs)

    def submit(self, sequence: Sequence) -> None:
        """Compute ``sequence``. RUNTIME_ERROR, as its end, if too many wait already."""
        with self._lock:
            if not self._closed:
                self._thread.post(self._submit, sequence, self)
                return
        sequence.end(End(NnErrno.RUNTIME_ERROR, reason=UNLOADED))

    def resume(self, sequence: Sequence) -> None:
        """The guest has caught up with ``sequence``."""
        self._thread.post(self._scheduler.resume, sequence, self)

    def cancel(self, sequence: Sequence) -> None:
        """Forget ``sequence`` at the next step, if it has not ended."""
        self._thread.post(self._cancel, sequence, self)

    def ask(self, question: Callable[[], Found]) -> Found:
        """What ``question`` answers in the computing thread, between two steps. Blocks.

        Raises GgmlError if the engine ends, and what ``question`` raises.
        """
        answer: Future[Found] = Future()
        with self._lock:
            if self._closed:
                raise GgmlError(NnErrno.RUNTIME_ERROR, UNLOADED)
            self._thread.post(_answer, (question, answer), self)
        return answer.result()

    def slots(self) -> list[SlotState]:
        """What each slot is doing. Blocks. Raises GgmlError."""
        return self.ask(lambda: [self._slot(slot) for slot in self._cache.slots])

    def _slot(self, slot: Slot) -> SlotState:
        return SlotState.of(slot, cells=self.cells, drafts=self.drafts)

    def keep_in(self, folder: Path, limit: int) -> None:
        """Keep what rests in files. Blocks. Raises GgmlError."""
        self.ask(lambda: self._keeper.use(folder, limit))

    def keep(self) -> None:
        """Write what rests to files now. Blocks for seconds at most. Raises GgmlError."""
        self.ask(self._keeper.end)

    def save(self, slot: int, path: Path) -> tuple[int, int]:
        """As Keeper's."""
        return self.ask(lambda: self._keeper.save(slot, path))

    def restore(self, slot: int, path: Path) -> tuple[int, int]:
        """As Keeper's."""
        return self.ask(lambda: self._keeper.restore(slot, path))

    def erase(self, slot: int) -> int:
        """As Keeper's."""
        return self.ask(lambda: self._keeper.erase(slot))

    def close(self) -> None:
        """End what is unfinished, after the present step, and free the context."""
        with self._lock:
            self._closed = True
        self._thread.remove(self)

    def _submit(self, sequence: Sequence) -> None:
        if not self._scheduler.add(sequence):
            reason = f"{MAX_WAITING} computations wait already; ask again when some have ended"
            self._end(sequence, End(NnErrno.RUNTIME_ERROR, reason=reason))

    def _cancel(self, sequence: Sequence) -> None:
        if not sequence.ended:
            self.counters.cancellations += 1
            self._scheduler.end(sequence)
            sequence.end(None)

    def begin_step(self) -> bool:
        """End what is over its time and give slots to what waits; whether anything runs."""
        scheduler, counters = self._scheduler, self.counters
        scheduler.step_seconds = self._pace.any_step
        for sequence in scheduler.overdue():
            self._end(sequence, End(NnErrno.END_OF_SEQUENCE))
        while True:
            if (admissible := scheduler.admissible()) is not None:
                self._placement.put(*admissible)
                scheduler.swap_seconds = self._placement.swap_seconds
                scheduler.admit(admissible[0])
            elif (victim := scheduler.victim()) is not None:
                scheduler.preempt(victim)
                counters.preemptions += 1
            else:
                break
        if self._placement.close_gaps():
            scheduler.sort()
        counters.sequences_waiting = len(scheduler.waiting) + len(scheduler.preempted)
        counters.sequences_running = len(scheduler.running)
        counters.swap_bytes = self._swap.used
        if not scheduler.running:
            self._handover.now()
            self._keeper.rests()
        return bool(scheduler.running)

    def step(self) -> None:
        """Compute a token of each sequence that decodes, and parts of the prompts.

        Of the pictures, one at most, before the tokens.
        """
        if (sequence := self._scheduler.at_picture()) is not None:
            self._see(sequence)
        self._keeper.works()
        rows = self._pace.prompt_rows(decoding=self._scheduler.decoding)
        parts = self._scheduler.plan(self._context.room, rows)
        if self._drafter is not None:
            parts = self._drafter.fill(parts, self._context.room)
        if parts and self._compute(parts):
            self._take(parts)

    def _compute(self, parts: list[Part]) -> bool:
        """Compute ``parts`` in one batch; whether that went well. If not, they have ended."""
        context = self._context
        self.adapters.apply(context.pointer, parts[0].sequence.adapters)
        rows = 0
        for part in parts:
            sequence, begin = part.sequence, part.sequence.position
            end = begin + part.count
            last = end == len(sequence.tokens)
            tokens = [*sequence.tokens[begin:end], *part.draft]
            wanted = 1 + len(part.draft) if last else 0
            rows = context.put(rows, tokens, begin, sequence.slot, wanted)
        forget_errors()
        result = self._decode(parts, rows)
        if result:
            failed = [part.sequence for part in parts]
            self._fail(failed, f"llama_decode answered {result}")
        return not result

    def _take(self, parts: list[Part]) -> None:
        """Make a token of each sequence whose tokens are all evaluated."""
        row = 0
        value = self._costs.worth(sum(part.decodes for part in parts) or 1)
        for part in parts:
            if self._scheduler.computed(part):
                made = self._follow(part, row + part.count - 1, value)
                self._handover.made(part.sequence, made)
            row += part.rows

    def _follow(self, part: Part, row: int, value: float) -> int:
        """Make tokens from ``row`` on, for as long as the draft foretold the last one; how many."""
        sequence, draft, slot = part.sequence, part.draft, part.sequence.slot
        right = 0
        going_on = self._sample(sequence, row)
        while going_on and right < len(draft) and sequence.tokens[-1] == draft[right]:
            right += 1
            sequence.position += 1
            going_on = self._sample(sequence, row + right)
        if right < len(draft):
            self._context.keep(slot, sequence.position)
        self.counters.draft_tokens += len(draft)
        self.counters.draft_tokens_accepted += right
        looked_up = not part.further
        sequence.judge(looked_up * len(draft), looked_up * right, value=value)
        if self._drafter is not None:
            self._drafter.judge(part, right, value)
        if going_on:
            self._scheduler.pause_if_ahead(sequence)
        return 1 + right

    def patience(self) -> float | None:
        """Seconds after which to look again though nothing has changed; None for never."""
        waits = (self._scheduler.patience(), self._keeper.patience())
        return min((wait for wait in waits if wait is not None), default=None)

    def abandon(self, reason: str) -> None:
        """End every sequence for ``reason``; what the slots hold is forgotten."""
        for sequence in self._scheduler:
            self._end(sequence, End(NnErrno.RUNTIME_ERROR, reason=reason))
        self._placement.drop_all()

    def finish(self) -> None:
        """End every sequence and free the context."""
        for sequence in self._scheduler:
            self._end(sequence, End(NnErrno.RUNTIME_ERROR, reason=UNLOADED))
        self._keeper.end()
        self.abandon(UNLOADED)
        self._context.close()
        if self._drafter is not None:
            self._drafter.close()

    def _see(self, sequence: Sequence) -> None:
        """Compute the picture that ``sequence`` is at."""
        picture, context = sequence.pictures[sequence.position], self._context
        self.adapters.apply(context.pointer, sequence.adapters)
        forget_errors()
        started = time.perf_counter()
        if picture.evaluate(context.pointer, sequence.slot, sequence.position, context.room):
            sequence.position += picture.length
            self.counters.prompt_tokens_evaluated += picture.cells
            self.counters.prompt_seconds += time.perf_counter() - started
        else:
            self._fail([sequence], "the picture cannot be computed")

    def _decode(self, parts: list[Part], rows: int) -> int:
        """Compute the ``rows`` rows of ``parts``; llama_decode's result.

        Prompts have all threads: theirs seldom wait for each other.
        """
        context, threads = self._context, self._threads
        prompt = sum(part.rows for part in parts if not part.decodes)
        context.use_threads(threads.most if prompt else threads.count)
        contended = self._thread.contention.there
        cpu = time.process_time() if contended is None else 0.0
        started = time.perf_counter()
        result = context.decode(rows, self._handover.now)
        seconds = time.perf_counter() - started
        if not prompt:
            cpu = time.process_time() - cpu if contended is None else 0.0
            threads.took(rows, seconds, cpu, contended=contended)
            self._pace.decoded(seconds)
        self._pace.read(prompt, seconds)
        self._account(parts, rows, seconds, reads=prompt > 0)
        return result

    def _account(self, parts: list[Part], rows: int, seconds: float, *, reads: bool) -> None:
        counters, read = self.counters, sum(part.read for part in parts)
        counters.batch_tokens.add(rows)
        counters.step_seconds.add(seconds)
        counters.step_sequences += len(parts)
        counters.drafts += sum(bool(part.draft) for part in parts)
        counters.prompt_tokens_evaluated += read
        if reads or read == rows:
            counters.prompt_seconds += seconds
        else:
            counters.decode_seconds += seconds

    def _sample(self, sequence: Sequence, row: int) -> bool:
        """Make the token after ``row``; whether the sequence goes on."""
        if sequence.made == 0 and not self._finite(row):
            reason = "the model computes no numbers: its weights are damaged"
            self._end(sequence, End(NnErrno.RUNTIME_ERROR, reason=reason))
            return False
        token = sequence.sampler.sample(self._context.pointer, row)
        if token is None:
            reason = f"the constrained text cannot go on: {sequence.sampler.failure}"
            self._end(sequence, End(NnErrno.INVALID_ARGUMENT, reason=reason))
            return False
        self.counters.generated_tokens += 1
        self.counters.most_tokens = max(self.counters.most_tokens, len(sequence.tokens) + 1)
        if (end := sequence.accept(token)) is not None:
            self._end(sequence, end)
        return end is None

    def _finite(self, row: int) -> bool:
        values = logits(self._context.pointer, row, self.model.vocabulary.size)
        return bool(np.isfinite(values.sum()))

    def _end(self, sequence: Sequence, end: End) -> None:
        self.counters.sequences_ended += 1
        self._scheduler.end(sequence)
        sequence.end(end)

    def _fail(self, sequences: list[Sequence], otherwise: str) -> None:
        """A computation failed: its sequences end, and what their slots hold is forgotten."""
        self.counters.failed_steps += 1
        reason = first_error(otherwise)
        for sequence in sequences:
            slot = self._cache.slots[sequence.slot]
            self._end(sequence, End(NnErrno.RUNTIME_ERROR, reason=reason))
            self._placement.drop(slot)


def _answer(asked: tuple[Callable[[], Any], Future[Any]]) -> None:
    question, answer = asked
    try:
        answer.set_result(question())
    except Exception as error:
        answer.set_exception(error)
