"""Small SVG plots of what grows with what, both axes logarithmic."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from math import ceil, floor, log10
from pathlib import Path

WIDTH, HEIGHT = 420, 240
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 34, 40
COLOURS = ("#2563eb", "#d97706", "#059669")
Points = Sequence[tuple[float, float]]


def write(path: Path, title: str, across: str, up: str, series: Mapping[str, Points]) -> None:
    """Write a plot of ``series`` to ``path``; ``across`` and ``up`` say what the axes are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*_plot(title, across, up, series), ""]))


def _plot(title: str, across: str, up: str, series: Mapping[str, Points]) -> Iterator[str]:
    points = [point for line in series.values() for point in line]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    left, right = log10(min(xs)), log10(max(xs))
    low, high = floor(log10(min(ys))), max(ceil(log10(max(ys))), floor(log10(min(ys))) + 1)

    def at(x: float, y: float) -> tuple[float, float]:
        part_x = (log10(x) - left) / ((right - left) or 1)
        part_y = (log10(y) - low) / (high - low)
        inner_x, inner_y = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return LEFT + part_x * inner_x, HEIGHT - BOTTOM - part_y * inner_y

    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        f' width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="11">'
    )
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
    yield _text(LEFT, 14, title, 'font-weight="bold"')
    for power in range(low, high + 1):
        _, y = at(10**left, 10.0**power)
        yield f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#d1d5db"/>'
        yield _text(LEFT - 6, y + 4, f"{10.0**power:g}", 'text-anchor="end"')
    for x in sorted(set(xs)):
        yield _text(at(x, 10.0**low)[0], HEIGHT - BOTTOM + 16, _short(x), 'text-anchor="middle"')
    yield _text(WIDTH / 2, HEIGHT - 6, across, 'text-anchor="middle"')
    yield _text(WIDTH - RIGHT, 14, up, 'text-anchor="end"')
    for number, (name, line) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        way = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in line))
        yield f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="2"/>'
        yield _text(LEFT + 130 * number, 28, name, f'fill="{colour}"')


def _text(x: float, y: float, text: str, more: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(text)}</text>'


def _short(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"
