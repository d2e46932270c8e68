"""Numbers as people write them: an oracle that writes, where the code under test reads."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

NO_BREAK, NARROW = "\u00a0", "\u202f"


def spelled(
    value: Decimal,
    *,
    decimal: str = ".",
    grouping: str = "",
    before: str = "",
    after: str = "",
    negative: str = "-{}",
    plus: str = "",
) -> str:
    """Write a number by Python's own grouping, then by other marks."""
    digits = f"{abs(value):,f}" if grouping else f"{abs(value):f}"
    text = digits.replace(",", "G").replace(".", "D").replace("G", grouping).replace("D", decimal)
    text = f"{before}{text}{after}"
    return negative.format(text) if value < 0 else plus + text


WAYS: dict[str, tuple[Callable[[Decimal], str], dict[str, object]]] = {
    "grouped by points": (
        lambda n: spelled(n, decimal=",", grouping="."),
        {"decimal": ",", "grouping": "."},
    ),
    "grouped by commas": (lambda n: spelled(n, grouping=","), {"grouping": ","}),
    "grouped by apostrophes": (lambda n: spelled(n, grouping="'"), {"grouping": "'"}),
    "grouped by typographic apostrophes": (lambda n: spelled(n, grouping="\u2019"), {"grouping": "'"}),
    "grouped by blanks": (lambda n: spelled(n, grouping=" "), {"grouping": " "}),
    "grouped by no-break blanks, decimal comma": (
        lambda n: spelled(n, decimal=",", grouping=NO_BREAK),
        {"decimal": ",", "grouping": " "},
    ),
    "grouped by narrow blanks": (lambda n: spelled(n, grouping=NARROW), {"grouping": " "}),
    "decimal comma": (lambda n: spelled(n, decimal=","), {"decimal": ","}),
    "percent": (lambda n: spelled(n, after="%"), {"after": "%"}),
    "percent with a blank, decimal comma": (
        lambda n: spelled(n, decimal=",", after=f"{NO_BREAK}%"),
        {"decimal": ",", "after": "%"},
    ),
    "percent, grouped by points": (
        lambda n: spelled(n, decimal=",", grouping=".", after=" %"),
        {"decimal": ",", "grouping": ".", "after": "%"},
    ),
    "dollars": (lambda n: spelled(n, grouping=",", before="$"), {"grouping": ",", "before": "$"}),
    "euros after": (
        lambda n: spelled(n, decimal=",", grouping=".", after=" €"),
        {"decimal": ",", "grouping": ".", "after": "€"},
    ),
    "euros before": (
        lambda n: spelled(n, decimal=",", grouping=".", before="€"),
        {"decimal": ",", "grouping": ".", "before": "€"},
    ),
    "francs": (lambda n: spelled(n, grouping="'", before="CHF "), {"grouping": "'", "before": "CHF"}),
    "code after": (lambda n: spelled(n, grouping=" ", after=" SEK"), {"grouping": " ", "after": "SEK"}),
    "rupees": (lambda n: spelled(n, grouping=",", before="₹ "), {"grouping": ",", "before": "₹"}),
    "reais": (
        lambda n: spelled(n, decimal=",", grouping=".", before="R$ "),
        {"decimal": ",", "grouping": ".", "before": "R$"},
    ),
    "brackets": (lambda n: spelled(n, negative="({})"), {"negative": "brackets"}),
    "brackets around dollars": (
        lambda n: spelled(n, grouping=",", before="$", negative="({})"),
        {"grouping": ",", "before": "$", "negative": "brackets"},
    ),
    "minus after": (lambda n: spelled(n, negative="{}-"), {"negative": "after"}),
    "minus sign": (lambda n: spelled(n, negative="\u2212{}"), {}),
    "minus before the currency": (
        lambda n: spelled(n, grouping=",", before="£"),
        {"grouping": ",", "before": "£"},
    ),
}
"""How to write a number, and what project.toml says of a column that is written so."""
