"""Names of columns that are hard to write down, and drafts of tables that have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from sluice.column_names import normal
from sluice.drafting.draft import Draft, draft_project
from sluice.drafting.sampling import read_sample

ODD = [
    'a"b',
    "it's",
    "'\"",
    "\\",
    "\\N{BULLET}",
    "line\nbreak",
    "tab\tx",
    "x\u2028",
    "größe",
    "東京" * 30,
    "class",
]
TAKEN = ["Field", "customer", "event_ts", "rn", "size_y", "entities", "{x}", "$name", "${name}", "%s", "a@v2"]
_ANY = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)

NAMES = st.lists(
    st.one_of(st.sampled_from(ODD), st.sampled_from(TAKEN), _ANY), min_size=3, max_size=6, unique_by=normal
).filter(lambda names: all(name.strip() for name in names[1:]))
"""Of a table's key, its target and its features."""


def drafted_of(folder: Path, names: list[str]) -> Draft:
    """Draft a table whose key, target and features are called so."""
    columns: list[list[Any]] = [
        [f"C{row}" for row in range(60)],
        ["yes", "no", "no"] * 20,
        *([row * (place + 3) % 61 / 4 for row in range(60)] for place in range(len(names) - 2)),
    ]
    key, target, *_ = own = [normal(name) for name in names]
    pq.write_table(pa.table(dict(zip(own, columns, strict=True))), folder / "data.parquet")
    return draft_project(read_sample(folder / "data.parquet"), target=target, entity=key)
