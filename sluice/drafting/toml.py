"""Writing TOML a person would have written: strings, keys, arrays and comments that are safe and wrapped."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Sequence

from sluice.spelling import Spelling

WIDTH = 110


def string(text: str) -> str:
    """Quote a basic string. JSON's escapes are TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def key(name: str) -> str:
    """Leave a key bare where TOML allows it, quote it where not: `"emp.var.rate"`."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else string(name)


def inline(text: str, limit: int = 40) -> str:
    """Quote a value for a comment: on one line, and not longer than `limit`."""
    return string(text if len(text) <= limit else text[: limit - 1] + "…")


def comment(text: str) -> list[str]:
    """Wrap a sentence into comment lines. Control characters (a value's line break) become spaces."""
    plain = re.sub(r"[\x00-\x1f\x7f]+", " ", text)
    return textwrap.wrap(
        plain,
        WIDTH,
        initial_indent="# ",
        subsequent_indent="# ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def spelling_table(spelling: Spelling) -> str:
    """Write a spelling as an inline table, with what is not as usual."""
    values = spelling.model_dump(exclude_defaults=True)
    pairs = [
        f"{name} = {string(value) if isinstance(value, str) else 'true'}" for name, value in values.items()
    ]
    return f"{{ {', '.join(pairs)} }}" if pairs else "{}"


def array(name: str, values: Sequence[str], *, note: str = "") -> list[str]:
    """Assign an array of strings, on one line if it fits and filled lines if not."""
    after = f"  # {note}" if note else ""
    items = [string(value) for value in values]
    line = f"{name} = [{', '.join(items)}]"
    if len(line + after) <= WIDTH:
        return [line + after]
    lines, current = [f"{name} = [{after}"], "   "
    for item in items:
        if len(current) + len(item) + 2 > WIDTH and current.strip():
            lines.append(current)
            current = "   "
        current += f" {item},"
    return [*lines, current, "]"]
