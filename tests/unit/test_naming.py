import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice import naming


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_an_execution_name_is_one_step_functions_takes(bucket: str, key: str, version_id: str) -> None:
    name = naming.execution_name(bucket, key, version_id)
    assert re.fullmatch(r"[A-Za-z0-9-]{1,80}", name)
    assert name == naming.execution_name(bucket, key, version_id)


def test_two_versions_of_a_key_have_two_names() -> None:
    first = naming.execution_name("uploads", "incoming/training/bank.csv", "v1")
    second = naming.execution_name("uploads", "incoming/training/bank.csv", "v2")
    assert first.startswith("bank-csv-")
    assert first != second


@given(st.from_regex(r"[a-z0-9-]{3,63}", fullmatch=True), st.text())
def test_a_uri_is_put_together_and_taken_apart(bucket: str, key: str) -> None:
    if "\n" not in key:
        assert naming.split_uri(naming.uri(bucket, key)) == (bucket, key)


@pytest.mark.parametrize("text", ["", "bucket/key", "s3://", "https://bucket/key"])
def test_what_is_no_s3_uri_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an S3 URI"):
        naming.split_uri(text)
