"""A number as a column's spelling reads it: one text at a time, and many at a time by Arrow."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sluice.datasets.spelled import plain_texts
from sluice.spelling import Spelling
from tests.support.spelled import WAYS

NUMBERS = st.decimals(min_value=-(10**12), max_value=10**12, places=2) | st.integers(
    -(2**63) + 1, 2**63 - 1
).map(Decimal)


@pytest.mark.parametrize("way", WAYS)
@given(number=NUMBERS)
def test_what_was_written_is_read(way: str, number: Decimal) -> None:
    write, spelling = WAYS[way]
    text = write(number).strip()
    read = Spelling.model_validate(spelling).plain(text)
    assert read is not None, text
    assert Decimal(read) == number


@pytest.mark.parametrize(
    ("spelling", "text", "number"),
    [
        ({"decimal": ",", "grouping": "."}, "1.234", "1234"),
        ({"decimal": ",", "grouping": "."}, "850", "850"),
        ({"decimal": ",", "grouping": "."}, "1234", "1234"),
        ({"decimal": ",", "grouping": "."}, "+1.234,5", "1234.5"),
        ({"decimal": ",", "grouping": "."}, ",5", ".5"),
        ({"decimal": ",", "grouping": "."}, "1.234.567.890.123", "1234567890123"),
        ({"decimal": ",", "grouping": "."}, "9.007.199.254.740.993", "9007199254740993"),
        ({"decimal": ",", "grouping": "."}, "12.5", None),
        ({"decimal": ",", "grouping": "."}, "1.23", None),
        ({"decimal": ",", "grouping": "."}, "0.500", None),
        ({"decimal": ",", "grouping": "."}, "1.234.56", None),
        ({"decimal": ",", "grouping": "."}, "1,234.5", None),
        ({"decimal": ",", "grouping": "."}, "1.234€", None),
        ({"decimal": ","}, "1.234", None),
        ({"grouping": ","}, "1,234.5", "1234.5"),
        ({"grouping": ","}, "1,23", None),
        ({"grouping": ","}, "12,34,567", None),
        ({"grouping": " "}, "1 675", "1675"),
        ({"grouping": " "}, "1\u202f675\u00a0000", "1675000"),
        ({"grouping": " "}, "1  675", None),
        ({"before": "€", "after": "€"}, "€5", "5"),
        ({"before": "€", "after": "€"}, "5 €", "5"),
        ({"before": "EUR"}, "eur 5", "5"),
        ({"before": "$"}, "-$5", "-5"),
        ({"before": "$"}, "$-5", "-5"),
        ({"before": "$"}, "- $ 5", "-5"),
        ({"before": "$"}, "--5", None),
        ({"before": "$"}, "-$-5", None),
        ({"before": "$"}, "5$", None),
        ({"before": "$"}, "$", None),
        ({"before": "Fr."}, "Fr. 5.5", "5.5"),
        ({"before": "Fr."}, "Fr.5", "5"),
        ({"negative": "brackets"}, "(12.5)", "-12.5"),
        ({"negative": "brackets"}, "-(5)", None),
        ({"negative": "brackets"}, "(-5)", None),
        ({"negative": "brackets"}, "(5", None),
        ({"negative": "brackets", "before": "$"}, "$(5)", "-5"),
        ({"negative": "brackets", "after": "%"}, "(5)%", "-5"),
        ({"negative": "after"}, "5-", "-5"),
        ({"negative": "after", "after": "€"}, "5-€", "-5"),
        ({"negative": "after", "after": "€"}, "5 € -", "-5"),
        ({"negative": "after"}, "-5-", None),
        ({}, "(5)", None),
        ({}, "5-", None),
        ({}, "1e-5", "1e-5"),
        ({}, "\u22121E5", "-1E5"),
        ({"decimal": ","}, "1,5E+03", "1.5E+03"),
        ({"decimal": ".,"}, "12.5", "12.5"),
        ({"decimal": ".,"}, "12,5", "12.5"),
        ({"decimal": ".,"}, "1.234", "1.234"),
        ({"decimal": ".,"}, "1,234", None),
        ({"decimal": ".,"}, "0,234", "0.234"),
        ({"decimal": ".,"}, "1234,500", "1234.5"),
        ({"decimal": ".,"}, ",25", ".25"),
        ({"decimal": ",."}, "1,234", "1.234"),
        ({"decimal": ",."}, "1.234", None),
        ({"decimal": ".,"}, "1.234,5", None),
        ({"percent": True}, "37%", "0.37"),
        ({"percent": True}, "-12.5 %", "-0.125"),
        ({"percent": True}, "0.37", "0.37"),
        ({"percent": True, "decimal": ","}, "0,1 %", "0.001"),
        ({"after": "%"}, "37%", "37"),
        ({}, "", None),
        ({}, "5\n", None),
        ({}, "0x10", None),
        ({}, "nan", None),
        ({}, "\u0661\u0662", None),
        ({}, "1" * 101, None),
    ],
)
def test_a_text_is_read_so(spelling: dict[str, Any], text: str, number: str | None) -> None:
    read = Spelling.model_validate(spelling).plain(text)
    assert (None if read is None else float(read)) == (None if number is None else float(number))


SPELLINGS = st.builds(
    lambda marks, before, after, negative: Spelling(
        decimal=marks[0], grouping=marks[1], before=before, after=after, negative=negative
    ),
    st.sampled_from(
        [(d, g) for d in (".", ",", ".,", ",.") for g in ("", ".", ",", "'", " ") if not g or g not in d]
    ),
    st.sampled_from(["", "$", "CHF", "kr."]),
    st.sampled_from(["", "€", "%", "EUR"]),
    st.sampled_from(["before", "after", "brackets"]),
) | st.builds(lambda decimal: Spelling(decimal=decimal, percent=True), st.sampled_from(".,"))
TEXTS = st.lists(
    st.sampled_from([*"0123456789", *"-+\u2212.,'\u2019 \u00a0\u202f()%$€eE\n", "CHF", "kr.", "eur"])
).map("".join)


@given(spelling=SPELLINGS, texts=st.lists(TEXTS | NUMBERS.map(str)))
def test_many_at_a_time_are_read_as_one_is(spelling: Spelling, texts: list[str]) -> None:
    texts = [text.strip() for text in texts]
    assert plain_texts(spelling, pa.array(texts, pa.string())).to_pylist() == [
        spelling.plain(text) for text in texts
    ]


@given(text=TEXTS)
def test_what_is_read_is_a_plain_number(text: str) -> None:
    for way in WAYS.values():
        read = Spelling.model_validate(way[1]).plain(text.strip())
        assert read is None or float(read) == float(read)


@pytest.mark.parametrize(
    ("spelling", "message"),
    [
        ({"decimal": ",", "grouping": ","}, "`decimal` and `grouping` are both ','"),
        ({"before": "€ "}, "has blanks around it"),
        ({"after": "m2"}, "holds a digit"),
        ({"before": "(USD)"}, "holds a digit, a sign or a bracket"),
        ({"percent": True, "after": "%"}, "`after` must be empty"),
        ({"decimal": ".,", "grouping": "."}, "`decimal` and `grouping` are both '.'"),
        ({"decimal": ";"}, "Input should be '.', ',', '.,' or ',.'"),
    ],
)
def test_a_spelling_that_could_not_be_read(spelling: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message.replace("(", r"\(").replace(".", r"\.")):
        Spelling.model_validate(spelling)


def test_it_is_said_in_words() -> None:
    assert Spelling(decimal=",", grouping=".", after="€", negative="brackets").describe() == (
        "a decimal comma, points between thousands, € after, brackets for less than zero"
    )
