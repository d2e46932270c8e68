import hashlib
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


def test_this_upload_has_this_name() -> None:
    """Pinned: a second event for an upload of before a release would train it again under another name."""
    name = naming.execution_name("uploads", "incoming/training/bank.csv", "v1")
    assert name == "bank-csv-" + hashlib.sha256(b"uploads/incoming/training/bank.csv?v1").hexdigest()[:32]
    assert name == "bank-csv-25039b0fc21d2e79d606ec354eb04d8e"


@given(
    project=st.from_regex(r"[a-z][a-z0-9-]{0,23}", fullmatch=True),
    environment=st.sampled_from(["local", "dev", "prod"]),
    execution=st.text(min_size=1),
)
def test_every_name_fits_sagemaker_and_carries_its_environment(
    project: str, environment: str, execution: str
) -> None:
    job = naming.job(project, environment, execution)
    for suffix in ("", "-build", "-train", "-evaluate", "-challenger", "-champion"):
        assert len(job + suffix) <= 63
    assert job.startswith(f"{project}-{environment}-")
    names = (naming.stack, naming.data_stack, naming.endpoint)
    assert all(f"{project}-{environment}" in name(project, environment) for name in names)


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
