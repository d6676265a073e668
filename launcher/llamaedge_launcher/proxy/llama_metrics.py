"""/metrics by the names of llama.cpp's server, which have no labels: sums over all."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..health import Figures

_PREFIX = "llamacpp:"


@dataclass(frozen=True)
class Sums:
    """The ``figures`` of all models, and what all ``engines`` have counted."""

    figures: list[Figures]
    engines: list[Mapping[str, Any]]

    def of(self, *fields: str) -> float:
        """What the engines have counted of ``fields``."""
        return float(sum(numbers.get(each, 0) for numbers in self.engines for each in fields))

    @property
    def steps(self) -> int:
        """Calls of llama_decode."""
        return sum(sum(numbers["step_seconds"]["counts"]) for numbers in self.engines)

    def ratio(self, over: str, under: str) -> float:
        """One count by another, 0 where there is none."""
        below = self.of(under)
        return self.of(over) / below if below else 0.0


_Value = Callable[[Sums], float]


def _counted(*fields: str) -> _Value:
    return lambda sums: sums.of(*fields)


def _most(sums: Sums) -> float:
    return max((numbers.get("most_tokens", 0) for numbers in sums.engines), default=0)


def _busy(sums: Sums) -> float:
    return sums.of("step_sequences") / sums.steps if sums.steps else 0.0


_ROWS: tuple[tuple[str, str, str, _Value], ...] = (
    ("prompt_tokens_total", "counter", "Prompt tokens read", _counted("prompt_tokens_evaluated")),
    (
        "prompt_tokens_cached_total",
        "counter",
        "Prompt tokens that were read before",
        _counted("prompt_tokens_reused"),
    ),
    ("prompt_seconds_total", "counter", "Seconds of reading prompts", _counted("prompt_seconds")),
    ("tokens_predicted_total", "counter", "Tokens generated", _counted("generated_tokens")),
    (
        "tokens_predicted_seconds_total",
        "counter",
        "Seconds of generating",
        _counted("decode_seconds"),
    ),
    ("n_decode_total", "counter", "Calls of llama_decode", lambda sums: sums.steps),
    ("n_tokens_max", "counter", "Tokens of the longest sequence so far", _most),
    (
        "spec_decode_num_draft_tokens_total",
        "counter",
        "Tokens that were drafted",
        _counted("draft_tokens"),
    ),
    (
        "spec_decode_num_accepted_tokens_total",
        "counter",
        "Drafted tokens that were made",
        _counted("draft_tokens_accepted"),
    ),
    ("spec_decode_num_drafts_total", "counter", "Drafts", _counted("drafts")),
    (
        "prompt_tokens_seconds",
        "gauge",
        "Prompt tokens read a second",
        lambda sums: sums.ratio("prompt_tokens_evaluated", "prompt_seconds"),
    ),
    (
        "predicted_tokens_seconds",
        "gauge",
        "Tokens generated a second",
        lambda sums: sums.ratio("generated_tokens", "decode_seconds"),
    ),
    (
        "requests_processing",
        "gauge",
        "Requests that are answered",
        lambda sums: sum(each.requests_processing for each in sums.figures),
    ),
    (
        "requests_deferred",
        "gauge",
        "Requests that wait",
        lambda sums: sum(each.requests_deferred for each in sums.figures),
    ),
    ("n_busy_slots_per_decode", "gauge", "Sequences in a call of llama_decode", _busy),
)


def written(figures: Iterable[Figures]) -> bytes:
    """The metrics as Prometheus reads them."""
    found = list(figures)
    sums = Sums(found, [numbers for each in found for numbers in each.engines.values()])
    return "".join(_lines(sums)).encode()


def _lines(sums: Sums) -> Iterator[str]:
    for name, kind, meaning, value in _ROWS:
        name = _PREFIX + name
        yield f"# HELP {name} {meaning}.\n# TYPE {name} {kind}\n{name} {value(sums)}\n"
