from sluice.errors import DataRejected


def test_an_error_says_what_where_why_and_what_to_do() -> None:
    error = DataRejected(
        "612 rows rejected", where="s3://b/k", why="balance: not a number", fix="upload again"
    )
    assert error.name == "DataRejected"
    assert str(error).splitlines() == [
        "612 rows rejected",
        "  where  s3://b/k",
        "  why    balance: not a number",
        "  to do  upload again",
    ]


def test_what_is_unknown_is_left_out() -> None:
    assert str(DataRejected("gone")) == "gone"
