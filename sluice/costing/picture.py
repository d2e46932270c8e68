"""What ways to serve cost over predictions a month, as an SVG file: both axes logarithmic, crossings marked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from sluice.costing.serving import Crossing, Way

_WIDTH, _HEIGHT = 760, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 150, 40, 56
_COLOURS = ("#c2571a", "#3b6fb6", "#4a8a4a")
_POINTS = 120


def picture(title: str, found: Sequence[Way], met: Sequence[Crossing], here: float) -> str:
    """Draw the ways whose prices are known, where they cross, and the number of predictions asked for.

    Both axes hold every crossing and `here`, with a decade to spare.
    """
    priced = [way for way in found if way.fixed is not None]
    marks = [each.predictions for each in met] + [max(here, 1.0)]
    low, high = math.floor(math.log10(min(marks))) - 1, math.ceil(math.log10(max(marks))) + 1
    low = max(low, 0)
    grid = [10 ** (low + (high - low) * step / _POINTS) for step in range(_POINTS + 1)]
    costs = [cost for way in priced for n in grid if (cost := way.monthly(n))]
    bottom, top = math.floor(math.log10(max(min(costs), 0.01))), math.ceil(math.log10(max(costs)))
    top = max(top, bottom + 1)

    def x(predictions: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (math.log10(predictions) - low) / (high - low)

    def y(cost: float) -> float:
        share = (math.log10(max(cost, 10.0**bottom)) - bottom) / (top - bottom)
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share

    floor = _HEIGHT - _BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        'font-family="system-ui, sans-serif" font-size="12" fill="#222">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="{_LEFT}" y="22" font-size="14" font-weight="600">{escape(title)}</text>',
    ]
    for decade in range(low, high + 1):
        at = x(10.0**decade)
        parts.append(f'<path d="M{at:.1f} {_TOP}V{floor}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{at:.1f}" y="{floor + 16}" text-anchor="middle">{_short(10.0**decade)}</text>'
        )
    for decade in range(bottom, top + 1):
        at = y(10.0**decade)
        parts.append(f'<path d="M{_LEFT} {at:.1f}H{_WIDTH - _RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">${10.0**decade:,g}</text>')
    for way, colour in zip(priced, _COLOURS, strict=False):
        drawn = [(n, cost) for n in grid if (cost := way.monthly(n)) and cost >= 10.0**bottom]
        line = " ".join(f"{x(n):.1f},{y(cost):.1f}" for n, cost in drawn)
        end = y(way.monthly(grid[-1]) or 0.0)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(
            f'<text x="{_WIDTH - _RIGHT + 8}" y="{end + 4:.1f}" fill="{colour}">{escape(way.name)}</text>'
        )
    by_name = {way.name: way for way in priced}
    for each in met:
        across, up = x(each.predictions), y(by_name[each.below].monthly(each.predictions) or 0.0)
        parts.append(f'<circle cx="{across:.1f}" cy="{up:.1f}" r="4" fill="#222"/>')
        parts.append(
            f'<text x="{across - 8:.1f}" y="{up - 8:.1f}" text-anchor="end">{_short(each.predictions)}</text>'
        )
    if here:
        parts.append(f'<path d="M{x(here):.1f} {_TOP}V{floor}" stroke="#222" stroke-dasharray="4 3"/>')
    parts.append(
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 12}" text-anchor="middle">'
        "predictions a month</text>"
    )
    parts.append(
        f'<text transform="rotate(-90 18 {_HEIGHT / 2})" x="18" y="{_HEIGHT / 2}" text-anchor="middle">'
        "US dollars a month</text>"
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _short(number: float) -> str:
    for size, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{name}"
    return f"{number:.3g}"
