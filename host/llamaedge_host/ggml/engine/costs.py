"""What drafted tokens cost, by what computes a model.

They are constants, so that how much is drafted depends on no clock: a text is the same each time.
"""

from dataclasses import dataclass, replace

from ..llama import amx
from ..llama.draft import cost, weights_read
from ..llama.model import Model


@dataclass(frozen=True)
class Costs:
    """What drafts cost where a model is computed, in plain steps, used or not."""

    draft: float
    """One of any length: a step of other rows than the one before is set up anew."""
    row: float
    """Each of its first ``cheap_from`` tokens."""
    cheap_from: int
    cheap: float
    """Each one past these: wide batches are computed faster."""
    group: int
    """Rows that are computed together: a draft and the token before it should be so many."""
    model_row: float
    """Each token that a model drafted, in whole groups."""
    prompt_row: float
    """A token of a prompt, in steps of the model that reads it."""
    sequences: int
    """Sequences that decode at most where any of them is to draft."""

    @property
    def least(self) -> int:
        """Tokens that a draft has at least: fewer would save nothing though all came true."""
        return max(int(self.draft / (1 - self.row)) + 1, self.group - 1)

    def spent(self, drafted: int) -> float:
        """Plain steps that a draft of so many tokens costs."""
        more = max(drafted - self.cheap_from, 0)
        return self.draft * bool(drafted) + self.row * (drafted - more) + self.cheap * more

    def affordable(self, steps: float) -> int:
        """Tokens that can be drafted for so many plain steps."""
        steps += _ROUNDING
        past = (steps - self.spent(self.cheap_from)) / self.cheap
        few = max(int((steps - self.draft) / self.row), 0)
        return few if past < 0 else self.cheap_from + int(past)

    def worth(self, sequences: int) -> float:
        """Plain steps that a token saves which was foretold, where so many ``sequences`` decode.

        The more of them share a step, the less of it is each one's own.
        """
        return self.row + (1 - self.row) / sequences

    def whole(self, count: int) -> int:
        """The most tokens up to ``count`` that make whole groups with the one before them."""
        return max((count + 1) // self.group * self.group - 1, 0)


CPU = Costs(0.0, 0.5, 15, 0.35, group=4, model_row=0.57, prompt_row=0.35, sequences=2)
"""Measured on a CPU of two cores."""
AMX = Costs(0.6, 0.22, 15, 0.28, group=4, model_row=0.2, prompt_row=0.15, sequences=2)
"""Measured on a CPU of two cores that multiplies matrices in a unit of its own."""
GPU = Costs(0.0, 0.1, 15, 0.035, group=1, model_row=0.1, prompt_row=0.04, sequences=4)
"""Measured on an H100, with a model of 7 billion weights of four bits; ``draft`` is the model's."""
_ROUNDING = 1e-9
"""Plain steps that sums of costs are off at most."""
_LAYER = 38e-6
"""Seconds of a layer on a GPU at least, whatever its size: its kernels are launched."""
_BANDWIDTH = 1.3e12
"""Bytes of weights a second that an H100 reads in a step."""
_BUILT, _LAUNCHED = 53e-6, 87e-6
"""Seconds of a layer of a step of other rows than the one before: its graph is built, while the GPU
waits, and launched kernel by kernel, while it computes."""


def costs(model: Model) -> Costs:
    """Those of ``model``. Each row of a mixture of experts reads weights of its own."""
    if model.header.integer("expert_count"):
        return CPU
    if not model.on_gpu:
        return AMX if amx.computes(model.header) else CPU
    return replace(GPU, draft=_anew(model) / _step(model))


def drafting(draft: Model, model: Model) -> tuple[float, float]:
    """What a token that ``draft`` makes for ``model`` takes, and what it takes to begin."""
    if draft.on_gpu and model.on_gpu:
        step = _step(model)
        return _step(draft) / step, _anew(draft) / step
    return cost(draft, model), 0.0


def _step(model: Model) -> float:
    """Seconds of a step on a GPU; on a slower one than was measured what is fixed counts less."""
    return max(model.layers * _LAYER, weights_read(model.header) / _BANDWIDTH)


def _anew(model: Model) -> float:
    """Seconds more of a step of other rows than the one before, and of the one after it."""
    layer = _step(model) / model.layers
    return 2 * model.layers * (_BUILT + max(_LAUNCHED - layer, 0.0))
