"""What drafted tokens cost, by what computes a model.

They are constants, so that how much is drafted depends on no clock: a text is the same each time.
"""

from dataclasses import dataclass

from ..llama.model import Model


@dataclass(frozen=True)
class Costs:
    """What drafts cost where a model is computed: plain steps, for a token, used or not."""

    row: float
    """Of a draft, for each of the first ``cheap_from``."""
    cheap_from: int
    cheap: float
    """For each one past these: wide batches are computed faster."""
    group: int
    """Rows that are computed together: a draft and the token before it should be so many."""
    model_row: float
    """Of a draft that a model made, in whole groups."""
    prompt_row: float
    """Of a prompt, in steps of the model that reads it."""
    sequences: int
    """Sequences that decode at most where any of them is to draft."""

    def spent(self, drafted: int) -> float:
        """Plain steps that a draft of so many tokens costs."""
        more = max(drafted - self.cheap_from, 0)
        return self.row * (drafted - more) + self.cheap * more

    def affordable(self, steps: float) -> int:
        """Tokens that can be drafted for so many plain steps."""
        past = (steps - self.spent(self.cheap_from)) / self.cheap
        return int(steps / self.row) if past < 0 else self.cheap_from + int(past)

    def worth(self, sequences: int) -> float:
        """Plain steps that a token saves which was foretold, where so many ``sequences`` decode.

        The more of them share a step, the less of it is each one's own.
        """
        return self.row + (1 - self.row) / sequences

    def whole(self, count: int) -> int:
        """The most tokens up to ``count`` that make whole groups with the one before them."""
        return max((count + 1) // self.group * self.group - 1, 0)


CPU = Costs(0.5, 15, 0.35, group=4, model_row=0.57, prompt_row=0.35, sequences=2)
"""Measured on a CPU of two cores."""
GPU = Costs(0.13, 7, 0.06, group=1, model_row=0.13, prompt_row=0.04, sequences=8)
"""Measured on an H100, with a model of 7 billion weights of four bits."""


def costs(model: Model) -> Costs:
    """Those of ``model``. Each row of a mixture of experts reads weights of its own."""
    dense = not model.header.integer("expert_count")
    return GPU if dense and model.on_gpu else CPU
