"""Deterministic names: where things lie in S3 and what an upload's execution is called.

Job, model and endpoint-configuration names are made in statemachines/training.asl.json from the hash of the
execution's ARN, so that one execution never collides with another.
"""

from __future__ import annotations

import hashlib
import re

INCOMING_TRAINING = "incoming/training/"
TRAINING_SUFFIXES = (".csv", ".tsv", ".txt", ".parquet")

# https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
EXECUTION_NAME_MAX = 80


def execution_name(bucket: str, key: str, version_id: str) -> str:
    """Name the training execution of one object version, so that a second event for it starts nothing.

    The same formula stands in statemachines/intake.asl.json; a test holds the two together. The version
    id alone tells two uploads of a key apart; the sequencer would add nothing, and a client that has just put
    the object would not know it.
    """
    stem = re.sub(r"[^A-Za-z0-9]+", "-", key.rsplit("/", 1)[-1])[:40]
    digest = hashlib.sha256(f"{bucket}/{key}?{version_id}".encode()).hexdigest()
    return f"{stem}-{digest[:32]}"


def dataset_version(sha256: str) -> str:
    """Name a dataset version by the SHA-256 (hex) of its Parquet file."""
    return sha256[:16]


def dataset_key(version: str) -> str:
    return f"datasets/{version}/data.parquet"


def manifest_key(version: str) -> str:
    """The manifest is written last: a dataset version exists if and only if its manifest does."""
    return f"datasets/{version}/manifest.json"


def quarantine_key(execution: str) -> str:
    return f"quarantine/{execution}/rejected.csv"


def report_key(execution: str, name: str) -> str:
    return f"reports/{execution}/{name}"


def uri(bucket: str, key: str) -> str:
    return f"s3://{bucket}/{key}"


def split_uri(s3_uri: str) -> tuple[str, str]:
    """Split `s3://bucket/key` into bucket and key.

    Raises:
        ValueError: it is no S3 URI.
    """
    match = re.fullmatch(r"s3://([^/]+)/(.*)", s3_uri)
    if not match:
        raise ValueError(f"not an S3 URI: {s3_uri!r}")
    return match[1], match[2]
