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
        # comments above the header
        ("# from the clinic\na,b\n1,2\n3,4\n", ["a", "b"], 2, 2, False),
        ("# from, the clinic\n\n#\na,b\n1,2\n3,4\n", ["a", "b"], 2, 4, False),
        ("% from\n// here\n-- there\na,b\n1,2\n3,4\n", ["a", "b"], 2, 4, False),
        ('"# said ""x"", then y"\na,b\n1,2\n3,4\n', ["a", "b"], 2, 2, False),
        ("# all, text\na,b\nx,p\ny,q\n", ["a", "b"], 2, 2, False),
        (
            "# of, the, bank\ncountry,1990,1991\nA,1.5,2\nB,2.5,3\nA,3.5,4\n",
            ["country", "1990", "1991"],
            3,
            2,
            False,
        ),
        (
            "# of, the, bank\ncountry,1990,gdp\nA,1.5,2\nB,2.5,3\nA,3.5,4\n",
            ["country", "1990", "gdp"],
            3,
            2,
            False,
        ),
        ("#note\ny\na\nb\n", ["y"], 1, 2, False),
        # a header that looks like one
        ("#,name,hp\n1,x,45\n2,y,60\n", ["#", "name", "hp"], 3, 1, True),
        ("# a,b\n1,2\n3,4\n", ["# a", "b"], 2, 1, True),
        ("##v1\n#id,sex\nx,m\ny,f\nz,f\nx,m\n", ["#id", "sex"], 2, 2, False),
        ("% change,b\n-1.5%,2\n3.5%,4\n", ["% change", "b"], 2, 1, True),
        ("#x,y\n#a,1\n#b,2\n", ["#x", "y"], 2, 1, True),
        # fields at the end that no name stands above
        ("a,b,,,\n1,x,,,\n2,y, z,,\n3,v,,,!\n", ["a", "b"], 5, 1, False),
        ("a,b,,\n1,2,3,4\n5,6,7,8\n", ["a", "b"], 4, 1, False),
        (",a,,\n0,1,,\n1,2,,\n", ["", "a"], 4, 1, False),
        # names in another Unicode normalisation
        ("cate\u0301gorie,n\na,1\n", ["cat\u00e9gorie", "n"], 2, 1, False),
        ("cat\u00e9gorie,n\na,1\n", ["cat\u00e9gorie", "n"], 2, 1, True),
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


def test_what_another_delimiter_padded_is_no_part_of_the_table() -> None:
    header = read_header("a;b;c,,,\n1,5;2,5;3,5;;,\n2,5;3,5;4,5;;,\n", ";")
    assert (header.names, len(header.fields), header.unnamed) == (("a", "b", "c"), 5, 0)


def test_fields_without_a_name_that_hold_something_are_counted() -> None:
    assert read_header("a,b,,,\n1,x,,,\n2,y,z,,\n3,v,,,!\n", ",").unnamed == 2
    assert read_header("a,b,,,\n1,x,,,\n2,y,,,\n", ",").unnamed == 0


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("Study 2020,,,\na,b,c,d\n1,2,3,4\n5,6,7,8\n", 1),
        ("Study 2020\nof May\n\na,b,c\n1,x,3\n2,y,5\n", 3),
        # The lines below are rows: cutting the first line off would lose the header.
        ("v1,v2,,,\nham,hello,x,y,z\nham,well,a,b,c\n", 0),
        ("v1,v2,,,\n1,2,3,4,5\n6,7,8,9,0\n", 0),
        ("a,b\n1,x,2\n2,y,3\n", 0),
        ("a,b\nr1,NA,x\nr2,3,y\n", 0),
        ("a,b,c\nr1,NA,2,3\nr2,4,5,6\n", 0),
        ("World, Bank\ncountry,code,1990,1991\nA,1,1.5,2\nB,2,2.5,3\n", 1),
        ("a,b\n1,2\n3,4\n", 0),
    ],
)
def test_a_title_is_told_from_a_header(text: str, titles: int) -> None:
    assert read_header(text, ",").titles == titles


def test_a_field_that_never_ends_is_no_error() -> None:
    assert read_header('a,b\n1,"' + "x" * 200_000, ",").names == ("a", "b")
