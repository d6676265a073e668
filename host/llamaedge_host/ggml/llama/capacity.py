"""How large a context is and how many sequences it has: what they take, and what there is."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

from ...nn.errno import NnErrno
from ..errors import GgmlError
from ..metadata.parse import Settings, Value
from . import draft as drafting
from .context import AUTO, MIN_CONTEXT, Q8_0, ContextError, ContextParameters
from .memory import available_memory, gpu_free, shown
from .model import Model
from .needs import NOTHING, Need, Needs, needs

_log = logging.getLogger("llamaedge_host.nn")

DEFAULT_PARALLEL = 8
"""Sequences at once, unless told."""
LEAST_PARALLEL = 2
"""For so many sequences a context that nobody asked for leaves room."""
SWAP_SHARE = 16
"""What is swapped out takes at most one part in so many of the free memory, unless told."""
USUAL_CONTEXT = 4096
"""Tokens for which layers leave room on a GPU, if no context is asked for."""
STATE_BYTES = 1 << 14
"""Bytes of a sequence's state besides its cache, at most."""
MAX_CELLS = 2**31 - 1
CELL_BYTES = 48
"""Bytes that llama.cpp keeps of each cell besides its keys and values, also without weights."""
CELLS_SHARE, LEAST_TRIED = 128, 2**26
"""Cells of which those are more than one part in so many of the memory are not even tried, if
they are more than so many bytes at all."""


@dataclass(frozen=True)
class Shares:
    """Which part of what weights leave of a memory a context may take, buffers and all."""

    here: float
    there: float


ALL = Shares(1.0, 1.0)
"""What was asked for may take everything."""
CONTEXT = Shares(1 / 4, 0.9)
"""A context that nobody asked for: little else uses a GPU."""
SEQUENCES = Shares(1 / 8, 1 / 2)
"""Sequences past ``LEAST_PARALLEL`` that nobody asked for."""


@dataclass(frozen=True)
class Sizing:
    """A context's parameters and what it then takes; the weights are counted in.

    ``draft`` are the parameters of the context on the model that drafts, and ``drafting`` what
    that model and it take beside; ``adapters`` is what is to be loaded of the model's adapters.
    """

    parameters: ContextParameters
    needs: Needs
    draft: ContextParameters | None = None
    drafting: Needs = NOTHING
    adapters: Needs = NOTHING

    @property
    def whole(self) -> Needs:
        """What both models and the adapters take."""
        return self.needs.beside(self.drafting).beside(self.adapters)

    @property
    def told(self) -> dict[str, Value]:
        """The context and the types of its cache, as metadata that asks for them."""
        parameters = self.parameters
        keys, values = parameters.cache_types
        return {"ctx-size": parameters.cells, "cache-type-k": keys, "cache-type-v": values}

    @property
    def sequence_bytes(self) -> int:
        """Bytes of the cache of one sequence."""
        return self.needs.whole.cache // self.parameters.parallel

    def halved(self) -> "Sizing":
        """The same with half as many sequences, and nothing else made smaller."""
        parallel = self.parameters.parallel // 2
        draft = self.draft and replace(self.draft, parallel=parallel)
        parameters = replace(self.parameters, parallel=parallel)
        return replace(self, parameters=parameters, draft=draft)


@dataclass(frozen=True)
class Free:
    """Bytes that are free of the computer's memory and the GPUs'."""

    here: int
    there: int

    @classmethod
    def now(cls, model: Model, beside: Iterable[Needs] = ()) -> "Free":
        """What there is for ``model``, less what will be ``beside`` it."""
        here, there = available_memory(), gpu_free(model.parameters.only_gpu) or 0
        for each in beside:
            here, there = here - each.here.total, there - each.there.total
        return cls(max(here, 0), max(there, 0))


def size(
    hollow: Model,
    settings: Settings,
    *,
    parallel: int,
    free: Free,
    loaded: bool = False,
    sharing: int = 1,
    draft: Model | None = None,
    adapters: Needs = NOTHING,
) -> Sizing:
    """What suits ``settings`` on ``hollow``: as they ask; where they do not, as memory allows.

    ``parallel`` is the number of sequences that is asked for, 0 for one that suits: fewer are
    better than none. If it is ``loaded``, its weights are in the memory already. What nobody asked
    for is as large as if so many models were ``sharing`` the memory. A context that is asked for
    and does not fit gets a cache of q8_0 rather than none, if nobody asked for its types. ``draft``
    is the model that drafts, hollow too, whose context has as many sequences; ``adapters`` is what
    is loaded beside. Raises GgmlError for what does not fit, which says what would.
    """
    sizer = _Sizer(
        hollow, settings, free, loaded=loaded, sharing=sharing, draft=draft, adapters=adapters
    )
    return sizer.sizing(parallel)


def layers_on_gpu(model: Model, settings: Settings, free: Free) -> int:
    """The most layers, the output one more, that leave a context some room on the GPUs.

    ``model`` is loaded without weights for each number that is tried. 0 without a GPU.
    """
    low, high = 0, model.layers + 2 if gpu_free(None) is not None else 1
    count = high - 1
    while high - low > 1:
        with closing(model.hollow(gpu_layers=count)) as hollow:
            if _Sizer(hollow, settings, free).leaves_room_on_gpu():
                low = count
            else:
                high = count
        count = (low + high) // 2
    return low


class _Sizer:
    """Tries contexts on a hollow model."""

    def __init__(
        self,
        hollow: Model,
        settings: Settings,
        free: Free,
        *,
        loaded: bool = False,
        sharing: int = 1,
        draft: Model | None = None,
        adapters: Needs = NOTHING,
    ) -> None:
        self._hollow = hollow
        self._adapters = adapters
        self._draft = draft
        self._settings = settings
        self._free = free
        self._loaded = loaded
        self._sharing = sharing
        self._mapped = hollow.parameters.mmap
        self._tried: dict[ContextParameters, Needs] = {}
        self._alone = ContextParameters.of(settings, hollow, 1)

    def sizing(self, parallel: int) -> Sizing:
        """What suits; ``parallel`` as ``size`` takes it."""
        cells = self._alone.cells
        if not self._settings["ctx-size"]:
            cells = self._own_context(parallel)
        made = self._sequences(cells, parallel)
        if not made and self._may_be_smaller():
            types = {"cache-type-k": Q8_0, "cache-type-v": Q8_0}
            self._settings = self._settings.with_changes(types)
            made = self._sequences(cells, parallel)
        if not made:
            raise self._refusal(cells)
        if made < parallel and not self._alone.embeddings:
            _log.warning(
                "[WASI-NN] GGML backend: %s: %d sequences of %d tokens were asked for, and %d fit",
                self._hollow.path.name,
                parallel,
                cells,
                made,
            )
        parameters = self._parameters(cells, made)
        draft, drafting = self._drafting(parameters)
        return Sizing(parameters, self._needs_alone(parameters), draft, drafting, self._adapters)

    def _sequences(self, cells: int, parallel: int) -> int:
        """How many sequences of ``cells`` tokens, ``parallel`` of which are asked for; 0 of none.

        0 asks for what suits.
        """
        if self._alone.embeddings:
            tried: list[tuple[int, Shares]] = [(1, ALL)]
        elif parallel:
            tried = [(count, ALL) for count in range(parallel, 0, -1)]
        else:
            tried = [(count, SEQUENCES) for count in range(DEFAULT_PARALLEL, LEAST_PARALLEL, -1)]
            tried += [(LEAST_PARALLEL, CONTEXT), (1, ALL), (LEAST_PARALLEL, ALL)]
        return next((count for count, shares in tried if self._fits(cells, count, shares)), 0)

    def _may_be_smaller(self) -> bool:
        """Whether nobody asked for the types of the cache, and the model's can be quantised."""
        if self._alone.embeddings or self._alone.cache_types != (AUTO, AUTO):
            return False
        least = replace(self._parameters(MIN_CONTEXT, 1), cache_types=(Q8_0, Q8_0))
        try:
            plain = self._needs(replace(least, cache_types=(AUTO, AUTO)))
            return self._needs(least).whole.cache < plain.whole.cache
        except ContextError:
            return False

    def leaves_room_on_gpu(self) -> bool:
        """Whether the weights leave room on the GPUs for what is asked, or for a usual context."""
        asked = self._settings["ctx-size"] or min(self._alone.cells, USUAL_CONTEXT)
        wanted = self._needs(self._parameters(asked, 1))
        return wanted.there.total <= self._free.there * CONTEXT.there

    def _own_context(self, parallel: int) -> int:
        """The model's own context, or the largest that the memory allows."""
        own = self._alone.cells
        usual = not parallel and not self._alone.embeddings
        if usual and self._fits(own, DEFAULT_PARALLEL, SEQUENCES):  # no less need be tried
            return own
        for count, shares in ((parallel or LEAST_PARALLEL, CONTEXT), (1, CONTEXT), (1, ALL)):
            if cells := self._largest(own, count, shares):
                return cells
        raise self._refusal(min(own, MIN_CONTEXT))

    def _largest(self, most: int, parallel: int, shares: Shares) -> int:
        """The largest context up to ``most`` tokens that fits; 0 if none does."""
        if self._fits(most, parallel, shares):
            return most
        low, high = 0, -(-most // MIN_CONTEXT)
        while high - low > 1:
            middle = (low + high) // 2
            if self._fits(middle * MIN_CONTEXT, parallel, shares):
                low = middle
            else:
                high = middle
        return low * MIN_CONTEXT

    def _fits(self, cells: int, parallel: int, shares: Shares) -> bool:
        rows = cells * parallel
        if rows > MAX_CELLS or not self._can_be_tried(rows):
            return False
        wanted = self._needs(self._parameters(cells, parallel))
        rooms = self._rooms(wanted, shares)
        return all(need.context <= max(left, 0) * share for need, left, share in rooms)

    def _can_be_tried(self, rows: int) -> bool:
        return rows * CELL_BYTES <= max(self._free.here // CELLS_SHARE, LEAST_TRIED)

    def _rooms(self, wanted: Needs, shares: Shares) -> Iterator[tuple[Need, int, float]]:
        """What is wanted of each memory, what the weights leave of it, and the part to take.

        Weights that are mapped count as free though they are read.
        """
        here, there, adapters = wanted.here, wanted.there, self._adapters
        sharing = 1 if shares is ALL else self._sharing
        mapped = self._mapped or not self._loaded
        counted = here.weights if mapped else adapters.here.weights
        yield here, self._free.here - counted, shares.here / sharing
        counted = adapters.there.weights if self._loaded else there.weights
        yield there, self._free.there - counted, shares.there / sharing

    def _parameters(self, cells: int, parallel: int) -> ContextParameters:
        settings = self._settings.with_changes({"ctx-size": cells})
        return ContextParameters.of(settings, self._hollow, parallel)

    def _needs(self, parameters: ContextParameters) -> Needs:
        models = self._needs_alone(parameters).beside(self._drafting(parameters)[1])
        return models.beside(self._adapters)

    def _needs_alone(self, parameters: ContextParameters) -> Needs:
        if parameters not in self._tried:
            self._tried[parameters] = needs(self._hollow, parameters)
        return self._tried[parameters]

    def _drafting(self, parameters: ContextParameters) -> tuple[ContextParameters | None, Needs]:
        """The context of the model that drafts beside one of ``parameters``, and what it takes."""
        if self._draft is None:
            return None, NOTHING
        made = drafting.parameters(self._draft, self._settings, parameters)
        if made not in self._tried:
            self._tried[made] = needs(self._draft, made)
        return made, self._tried[made]

    def _refusal(self, cells: int) -> GgmlError:
        """Why ``cells`` tokens do not fit, and what would."""
        fitting = self._largest(cells, 1, ALL)
        would = f"{fitting} tokens fit" if fitting else "a smaller model fits, or one of fewer bits"
        return GgmlError(
            NnErrno.INVALID_ARGUMENT,
            f"the context cannot be set up: {cells} tokens (ctx-size){self._types} take"
            f" {self._lacking(cells)}; {would}",
        )

    @property
    def _types(self) -> str:
        """What is to be said of types that nobody asked for."""
        chosen = self._settings["cache-type-k"] != self._alone.cache_types[0]
        return ", in a cache of q8_0," if chosen else ""

    def _lacking(self, cells: int) -> str:
        if not self._can_be_tried(cells):
            return f"too much of the {shown(self._free.here)} of memory that are free"
        wanted = self._needs(self._parameters(cells, 1))
        names = (self._free.here, "of memory"), (self._free.there, "on the GPU")
        return ", and ".join(
            f"{shown(need.context)}{_beside(need)}, and {shown(free)} {where} are free"
            for (need, left, _), (free, where) in zip(self._rooms(wanted, ALL), names, strict=True)
            if need.context > max(left, 0)
        )


def _beside(need: Need) -> str:
    return f" beside {shown(need.weights)} of weights" if need.weights else ""


def swap_bytes(sizing: Sizing) -> int:
    """Bytes that caches may take that were swapped out.

    Unless they are told, as many as the KV cache itself, or less. Raises GgmlError for more
    than there is memory.
    """
    free, asked = available_memory(), sizing.parameters.swap
    if asked > free:
        raise GgmlError(
            NnErrno.INVALID_ARGUMENT,
            f"the option cache-ram cannot be used: it asks for {shown(asked)}, and"
            f" {shown(free)} of memory are free",
        )
    most = sizing.needs.whole.cache + sizing.parameters.parallel * STATE_BYTES
    return asked if asked >= 0 else min(most, free // SWAP_SHARE)
