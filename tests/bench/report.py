"""The table of one benchmark."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median

TURNS = 5


@dataclass
class Report:
    """Rows of what was measured, in order; each row keeps the values of all rounds."""

    title: str
    _rows: dict[str, tuple[list[float], str]] = field(default_factory=dict)

    def add(self, what: str, value: float, unit: str) -> None:
        self._rows.setdefault(what, ([], unit))[0].append(value)

    def values(self, what: str) -> list[float]:
        return self._rows[what][0]

    def median(self, what: str) -> float:
        return median(self._rows[what][0])

    def ratio(self, what: str, part: str, whole: str) -> None:
        """Add the ratio of two rows, round by round."""
        for one, other in zip(self._rows[part][0], self._rows[whole][0], strict=True):
            self.add(what, one / other, "")

    def compare(
        self, unit: str, calls: Mapping[str, Callable[[], float]], turns: int = TURNS
    ) -> None:
        """A round of what ``calls`` answer: in ``turns`` turns, every other one backwards.

        Adds the median of each, and of each to the first the median of the turns' ratios, which
        a machine that grows slower or faster meanwhile hardly changes.
        """
        taken: dict[str, list[float]] = {what: [] for what in calls}
        for turn in range(turns):
            for what in list(calls)[:: -1 if turn % 2 else 1]:
                taken[what].append(calls[what]())
        first, *others = calls
        for what, values in taken.items():
            self.add(what, median(values), unit)
        for what in others:
            pairs = zip(taken[what], taken[first], strict=True)
            self.add(f"{what} / {first}", median(one / other for one, other in pairs), "")

    def markdown(self) -> str:
        lines = [f"## {self.title}", "", "| what | median | least | most |", "|---|---|---|---|"]
        for what, (values, unit) in self._rows.items():
            low, mid, high = map(_number, (min(values), median(values), max(values)))
            lines.append(f"| {what} | {mid} {unit} | {low} | {high} |")
        return "\n".join([*lines, ""])


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
