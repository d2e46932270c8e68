"""A column's spelled numbers as plain ones, many at a time: what `Spelling.plain` does, by Arrow."""

from __future__ import annotations

import pyarrow as pa

from sluice.arrow import Array
from sluice.arrow import compute as pc
from sluice.spelling import LONGEST, Spelling


def plain_texts(spelling: Spelling, texts: Array) -> Array:
    """Write trimmed texts as plain numbers ("-1234.5"); null where they are null, or no numbers in this spelling."""
    patterns = spelling.patterns
    readable = pc.and_(
        pc.match_substring_regex(texts, patterns.number), pc.less_equal(pc.utf8_length(texts), LONGEST)
    )
    numbers = pc.if_else(readable, texts, pa.scalar(None, pa.string()))
    bodies = pc.replace_substring_regex(numbers, patterns.number, patterns.body)
    if patterns.grouping:
        bodies = pc.replace_substring_regex(bodies, patterns.grouping, "")
    if "," in spelling.decimal:
        bodies = pc.replace_substring(bodies, ",", ".")
    if patterns.percent:
        hundredths = pc.match_substring(numbers, patterns.percent)
        bodies = pc.if_else(hundredths, pc.binary_join_element_wise(bodies, "e-2", ""), bodies)
    negative = pc.match_substring_regex(numbers, patterns.negative)
    return pc.if_else(negative, pc.binary_join_element_wise("-", bodies, ""), bodies)
