"""Plots as inline SVG: curves, a scatter, bars and a confusion matrix; no script, nothing to load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

_SIZE = 300
_MARGIN = 44
_INNER = _SIZE - 2 * _MARGIN
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
_MOST_CLASSES = 12
_BAR_NAMES = 110
_BAR_MARGIN = 16
_BAR_STEP = 18
_BAR_LETTERS = 20

Point = Sequence[float]


@dataclass(frozen=True)
class Series:
    """A named curve; `style` is the CSS class that gives it its colour, `bounds` how low and high points may be."""

    name: str
    points: Sequence[Point]
    style: str
    bounds: Sequence[Point] = ()


@dataclass(frozen=True)
class Bar:
    """A bar's name and length, and by how much either end of it may be off."""

    name: str
    value: float
    error: float


@dataclass(frozen=True)
class Numbered:
    """The figure of one of a row of tries, and the best so far; `faint` where it was not tried to the end."""

    number: int
    value: float
    best: float
    faint: bool = False


@dataclass(frozen=True)
class _Frame:
    """Maps data onto the square of a plot."""

    low: float
    high: float

    def at(self, x: float, y: float) -> tuple[float, float]:
        span = (self.high - self.low) or 1.0
        return (
            _MARGIN + _INNER * (x - self.low) / span,
            _SIZE - _MARGIN - _INNER * (y - self.low) / span,
        )


def unit_curves(
    title: str, x_label: str, y_label: str, series: Sequence[Series], *, diagonal: bool, dots: bool = False
) -> str:
    """Plot curves in the unit square."""
    frame = _Frame(0.0, 1.0)
    marks = [_diagonal(frame)] if diagonal else []
    for each in series:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (frame.at(p[0], p[1]) for p in each.points))
        marks.append(f'<polyline class="curve {each.style}" points="{path}"/>')
        for point, (low, high) in zip(each.points, each.bounds, strict=False):
            (x, bottom), (_, top) = frame.at(point[0], low), frame.at(point[0], high)
            marks.append(f'<path class="whisker {each.style}" d="M{x:.1f} {bottom:.1f}V{top:.1f}"/>')
        if dots:
            marks += [_dot(frame, p, each.style, 2.5) for p in each.points]
    return _figure(title, x_label, y_label, frame, marks, series)


def scatter(title: str, x_label: str, y_label: str, series: Sequence[Series]) -> str:
    """Plot points with both axes on one scale, and the line where they are equal."""
    values = [float(value) for each in series for point in each.points for value in point[:2]]
    frame = _Frame(min(values), max(values))
    marks = [_diagonal(frame)]
    marks += [_dot(frame, p, each.style, 1.8) for each in series for p in each.points]
    return _figure(title, x_label, y_label, frame, marks, series)


def numbered(title: str, x_label: str, y_label: str, tries: Sequence[Numbered]) -> str:
    """Plot figures by their number, with the best so far as a line."""
    low, high = min(each.value for each in tries), max(each.value for each in tries)
    span, last = (high - low) or 1.0, max(tries[-1].number, 2)

    def at(number: int, value: float) -> tuple[float, float]:
        return (
            _MARGIN + _INNER * (number - 1) / (last - 1),
            _SIZE - _MARGIN - _INNER * (value - low) / span,
        )

    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(each.number, each.best) for each in tries))
    marks = [f'<polyline class="curve challenger" points="{path}"/>']
    for each in tries:
        x, y = at(each.number, each.value)
        style = "champion" if each.faint else "challenger"
        marks.append(f'<circle class="dot {style}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>')
    left, bottom = _MARGIN, _SIZE - _MARGIN
    marks.append(f'<path class="grid" d="M{left} {_MARGIN}V{bottom}H{_SIZE - _MARGIN}"/>')
    marks += [
        f'<text class="tick left" x="{left - 6}" y="{at(1, value)[1] + 3:.1f}">{value:.3g}</text>'
        for value in sorted({low, high})
    ]
    marks += [
        f'<text class="tick" x="{at(number, low)[0]:.1f}" y="{bottom + 14}">{number}</text>'
        for number in sorted({1, tries[-1].number})
    ]
    middle = _SIZE / 2
    marks.append(f'<text class="label" x="{middle}" y="{_SIZE - 8}">{escape(x_label)}</text>')
    marks.append(
        f'<text class="label" transform="rotate(-90 10 {middle})" x="10" y="{middle}">{escape(y_label)}</text>'
    )
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>"
        f'<svg viewBox="0 0 {_SIZE} {_SIZE}" role="img" aria-label="{escape(title, quote=True)}">'
        f"{''.join(marks)}</svg></figure>"
    )


def bars(title: str, label: str, values: Sequence[Bar]) -> str:
    """Draw horizontal bars, one below the other, from 0 to the right or to the left."""
    low = min(0.0, *(each.value - each.error for each in values))
    high = max(0.0, *(each.value + each.error for each in values))
    span, inner = (high - low) or 1.0, _SIZE - _BAR_NAMES - _BAR_MARGIN
    height = _BAR_STEP * len(values) + 34

    def at(value: float) -> float:
        return _BAR_NAMES + inner * (value - low) / span

    marks = []
    for number, each in enumerate(values):
        y = _BAR_STEP * number + 6
        left, right = sorted((at(0.0), at(each.value)))
        name = each.name if len(each.name) <= _BAR_LETTERS else each.name[: _BAR_LETTERS - 1] + "…"
        marks.append(f'<text class="tick left" x="{_BAR_NAMES - 6}" y="{y + 9}">{escape(name)}</text>')
        marks.append(
            f'<rect class="amount challenger" x="{left:.1f}" y="{y}" width="{right - left:.1f}" height="11"/>'
        )
        ends = at(each.value - each.error), at(each.value + each.error)
        marks.append(f'<path class="error" d="M{ends[0]:.1f} {y + 5.5}H{ends[1]:.1f}"/>')
    bottom = _BAR_STEP * len(values) + 6
    marks.append(f'<path class="grid" d="M{at(0.0):.1f} 0V{bottom}"/>')
    marks += [
        f'<text class="tick" x="{at(value):.1f}" y="{bottom + 12}">{value:.2g}</text>'
        for value in sorted({0.0, high})
    ]
    marks.append(f'<text class="label" x="{_SIZE / 2}" y="{height - 2}">{escape(label)}</text>')
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>"
        f'<svg viewBox="0 0 {_SIZE} {height}" role="img" aria-label="{escape(title, quote=True)}">'
        f"{''.join(marks)}</svg></figure>"
    )


def confusion_matrix(title: str, confusion: dict[str, Any]) -> str:
    """Draw a confusion matrix as a table, shaded by the share of the actual class."""
    classes, counts = [str(label) for label in confusion["classes"]], confusion["counts"]
    if len(classes) > _MOST_CLASSES:
        return f"<p>{escape(title)}: {len(classes)} classes, too many to draw; see evaluation.json.</p>"
    head = "".join(f"<th>{escape(label)}</th>" for label in classes)
    rows = []
    for label, row in zip(classes, counts, strict=True):
        total = sum(row) or 1
        cells = "".join(f'<td style="--share:{n / total:.3f}">{n:,}</td>' for n in row)
        rows.append(f"<tr><th>{escape(label)}</th>{cells}</tr>")
    return (
        f'<figure class="confusion"><figcaption>{escape(title)}: rows actual, columns predicted</figcaption>'
        f"<table><tr><th></th>{head}</tr>{''.join(rows)}</table></figure>"
    )


def _figure(
    title: str, x_label: str, y_label: str, frame: _Frame, marks: list[str], series: Sequence[Series]
) -> str:
    legend = "".join(f'<span class="key {each.style}">{escape(each.name)}</span>' for each in series)
    axes = _axes(frame, x_label, y_label)
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>"
        f'<svg viewBox="0 0 {_SIZE} {_SIZE}" role="img" aria-label="{escape(title, quote=True)}">'
        f"{axes}{''.join(marks)}</svg><div>{legend}</div></figure>"
    )


def _axes(frame: _Frame, x_label: str, y_label: str) -> str:
    parts = []
    for share in _TICKS:
        value = frame.low + share * (frame.high - frame.low)
        x, bottom = frame.at(value, frame.low)
        left, y = frame.at(frame.low, value)
        top, right = _MARGIN, _SIZE - _MARGIN
        parts.append(f'<path class="grid" d="M{x:.1f} {bottom:.1f}V{top}M{left:.1f} {y:.1f}H{right}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 14:.1f}">{value:.3g}</text>')
        parts.append(f'<text class="tick left" x="{left - 6:.1f}" y="{y + 3:.1f}">{value:.3g}</text>')
    middle = _SIZE / 2
    parts.append(f'<text class="label" x="{middle}" y="{_SIZE - 8}">{escape(x_label)}</text>')
    parts.append(
        f'<text class="label" transform="rotate(-90 10 {middle})" x="10" y="{middle}">{escape(y_label)}</text>'
    )
    return "".join(parts)


def _diagonal(frame: _Frame) -> str:
    (x1, y1), (x2, y2) = frame.at(frame.low, frame.low), frame.at(frame.high, frame.high)
    return f'<path class="diagonal" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>'


def _dot(frame: _Frame, point: Point, style: str, radius: float) -> str:
    x, y = frame.at(point[0], point[1])
    return f'<circle class="dot {style}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>'
