"""The comparison as a plot: bars on a logarithmic scale, an SVG file of its own, nothing to load."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH = 760
_LEFT, _RIGHT = 150, 70
_INNER = _WIDTH - _LEFT - _RIGHT
_BAR, _GAP = 12, 3
_GROUP_GAP = 12
_HEAD, _FOOT = 46, 34
_COLOURS = {"json": "#3b6fb6", "csv": "#8fb3de"}
_OURS = {"json": "#c2571a", "csv": "#e9a06f"}
_INK, _FAINT = "#222", "#ddd"


@dataclass(frozen=True)
class Bar:
    """One bar; `form` is "json" or "csv"."""

    form: str
    value: float


@dataclass(frozen=True)
class Group:
    """The bars of one server."""

    title: str
    bars: Sequence[Bar]
    ours: bool


@dataclass(frozen=True)
class Panel:
    """Bars of one unit on one scale."""

    title: str
    groups: Sequence[Group]


def picture(panels: Sequence[Panel]) -> str:
    """Draw panels below each other.

    Raises:
        ValueError: a value is not positive: it has no place on a logarithmic scale.
    """
    parts: list[str] = []
    top = 10.0
    for panel in panels:
        drawn, height = _panel(panel, top)
        parts += drawn
        top += height
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top + 24:.0f}" width="{_WIDTH}" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="{_INK}">\n'
        '<rect width="100%" height="100%" fill="#fff"/>\n'
        + "\n".join([*parts, *_legend(top + 6)])
        + "\n</svg>\n"
    )


@dataclass(frozen=True)
class _Scale:
    low: int
    high: int

    def at(self, value: float) -> float:
        return _LEFT + _INNER * (math.log10(value) - self.low) / (self.high - self.low)


def _panel(panel: Panel, top: float) -> tuple[list[str], float]:
    values = [bar.value for group in panel.groups for bar in group.bars]
    if min(values) <= 0:
        raise ValueError(f"{panel.title}: {min(values)} has no logarithm")
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    scale = _Scale(low, max(high, low + 1))
    sizes = [len(group.bars) * (_BAR + _GAP) + _GROUP_GAP for group in panel.groups]
    bottom = top + _HEAD + sum(sizes)
    parts = [
        f'<text x="{_LEFT}" y="{top + 22:.0f}" font-size="14" font-weight="600">{escape(panel.title)}</text>'
    ]
    for power in range(scale.low, scale.high + 1):
        x = scale.at(10.0**power)
        parts.append(f'<path d="M{x:.1f} {top + _HEAD - 8:.0f}V{bottom:.0f}" stroke="{_FAINT}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16:.0f}" text-anchor="middle">{10**power:,}</text>')
    y = top + _HEAD
    for group, size in zip(panel.groups, sizes, strict=True):
        parts += _group(group, scale, y)
        y += size
    return parts, _HEAD + sum(sizes) + _FOOT


def _group(group: Group, scale: _Scale, top: float) -> list[str]:
    middle = top + len(group.bars) * (_BAR + _GAP) / 2 + 3
    weight = ' font-weight="600"' if group.ours else ""
    parts = [f'<text x="{_LEFT - 8}" y="{middle:.1f}" text-anchor="end"{weight}>{escape(group.title)}</text>']
    for i, bar in enumerate(group.bars):
        y, end = top + i * (_BAR + _GAP), scale.at(bar.value)
        colour = (_OURS if group.ours else _COLOURS)[bar.form]
        parts.append(
            f'<rect x="{_LEFT}" y="{y:.0f}" width="{end - _LEFT:.1f}" height="{_BAR}" fill="{colour}"/>'
        )
        parts.append(
            f'<text x="{end + 5:.1f}" y="{y + _BAR - 1.5:.1f}" font-size="11">{_number(bar.value)}</text>'
        )
    return parts


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _legend(top: float) -> list[str]:
    parts = []
    x = _LEFT
    for form, name in (("json", "JSON"), ("csv", "CSV")):
        parts.append(f'<rect x="{x}" y="{top:.0f}" width="10" height="10" fill="{_OURS[form]}"/>')
        parts.append(f'<rect x="{x + 12}" y="{top:.0f}" width="10" height="10" fill="{_COLOURS[form]}"/>')
        parts.append(f'<text x="{x + 28}" y="{top + 9.5:.1f}">{name}</text>')
        x += 90
    return parts
