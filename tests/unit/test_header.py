from __future__ import annotations

import pytest

from sluice.datasets.header import read_header


@pytest.mark.parametrize(
    ("text", "names", "fields", "lines", "plain"),
    [
        ("a,b\n1,2\n", ["a", "b"], 2, 1, True),
        ('"a\nx",b\n1,2\n', ["a\nx", "b"], 2, 2, True),
        (",a\n0,1\n", ["", "a"], 2, 1, True),
        ("a, b ,c\n1,2,3\n", ["a", "b", "c"], 3, 1, False),
        ('"a", "b ""x"""\n1, 2\n', ["a", 'b "x"'], 2, 1, False),
        ("\n\na,b\n1,2\n", ["a", "b"], 2, 3, False),
        ("sep=,\na,b\n1,2\n", ["a", "b"], 2, 2, False),
        ("a,b,,\n1,2,,\n", ["a", "b"], 4, 1, False),
        ("a,b,\n1,2\n3,4\n", ["a", "b"], 2, 1, False),
        ("a,b\n1,2,\n3,4,\n", ["a", "b"], 3, 1, False),
        ("a,b,\n1,2,3\n", ["a", "b", ""], 3, 1, True),
        ("a,b\n1,2,3\n", ["a", "b"], 2, 1, True),
        ("a,b\n", ["a", "b"], 2, 1, True),
        ("a,\n1,\n", ["a"], 2, 1, False),
        ("y\na\n", ["y"], 1, 1, True),
        ("  \ny\na\n", ["y"], 1, 2, False),
        ("\n", [""], 1, 1, False),
    ],
)
def test_headers(text: str, names: list[str], fields: int, lines: int, plain: bool) -> None:
    header = read_header(text, ",")
    assert list(header.names) == names
    assert (len(header.fields), header.lines, header.plain) == (fields, lines, plain)
    assert len(set(header.fields)) == fields


def test_a_row_that_is_cut_off_does_not_count() -> None:
    assert read_header("a,b,c\n1,2,3\n4", ",").width == 3
    assert len(read_header("a,b\n1,2,\n3,4,\n5,6", ",").fields) == 3


def test_one_row_that_fits_the_header_makes_the_wider_ones_ragged() -> None:
    assert read_header("a,b\n1,2,\n3,4,\n5,6\n", ",").fields == ("a", "b")
    assert len(read_header("a,b\n1,2,\n3,4,\n", ",").fields) == 3
