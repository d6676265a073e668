"""What an engine has done: numbers that any thread may read while it works."""

from bisect import bisect_left
from dataclasses import dataclass, field, fields

BATCH_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)
STEP_BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Histogram:
    """Counts of values up to each bound, and above the last; their sum and number."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count ``value``."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def as_dict(self) -> dict[str, object]:
        """``bounds``, ``counts`` (one more than bounds) and ``sum``."""
        return {"bounds": list(self.bounds), "counts": list(self.counts), "sum": self.sum}

    @property
    def total(self) -> int:
        """How many values were counted."""
        return sum(self.counts)


@dataclass
class Counters:
    """Tokens, sequences and steps since the engine began; the gauges are of now."""

    prompt_tokens_evaluated: int = 0
    prompt_tokens_reused: int = 0
    generated_tokens: int = 0
    most_tokens: int = 0
    """Of any sequence, the prompt's among them."""
    step_sequences: int = 0
    """Sequences that steps computed, counted in each."""
    drafts: int = 0
    draft_tokens: int = 0
    draft_tokens_accepted: int = 0
    draft_model_tokens: int = 0
    draft_model_tokens_accepted: int = 0
    draft_model_steps: int = 0
    sequences_waiting: int = 0
    sequences_running: int = 0
    sequences_ended: int = 0
    evictions: int = 0
    preemptions: int = 0
    moves: int = 0
    swapped_out: int = 0
    swapped_in: int = 0
    swap_bytes: int = 0
    restored: int = 0
    cancellations: int = 0
    failed_steps: int = 0
    prompt_seconds: float = 0.0
    decode_seconds: float = 0.0
    batch_tokens: Histogram = field(default_factory=lambda: Histogram(BATCH_BOUNDS))
    step_seconds: Histogram = field(default_factory=lambda: Histogram(STEP_BOUNDS))

    def as_dict(self) -> dict[str, object]:
        """Every number by its name, histograms as their own dictionaries; fit for JSON."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            name: value.as_dict() if isinstance(value, Histogram) else value
            for name, value in values.items()
        }
