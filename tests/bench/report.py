"""The table of one benchmark."""

from dataclasses import dataclass, field
from statistics import median


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

    def markdown(self) -> str:
        lines = [f"## {self.title}", "", "| what | median | least | most |", "|---|---|---|---|"]
        for what, (values, unit) in self._rows.items():
            low, mid, high = (f"{each:.4g}" for each in (min(values), median(values), max(values)))
            lines.append(f"| {what} | {mid} {unit} | {low} | {high} |")
        return "\n".join([*lines, ""])
