"""Deterministic names: stacks, endpoints, jobs, executions and dataset versions.

All that is an account's own carries project and environment, so that `dev` cannot touch what is `prod`'s.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

# https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
EXECUTION_NAME_MAX = 80
JOB_DIGITS = 16
"""Hexadecimal digits of the hash of the execution's ARN that end a job name: one execution never meets another."""


def stack(project: str, environment: str) -> str:
    """The stack of what can be made again; its endpoint has the same name."""
    return f"sluice-{project}-{environment}"


def data_stack(project: str, environment: str) -> str:
    """The stack of what cannot be made again: buckets, tables, the topics people subscribed to."""
    return f"{stack(project, environment)}-data"


def endpoint(project: str, environment: str) -> str:
    return stack(project, environment)


def api(project: str, environment: str) -> str:
    """The HTTP API, its usage plan and its key; its stage is called like the environment."""
    return stack(project, environment)


def deployment_alarms(project: str, environment: str) -> str:
    """What the names of the alarms begin with that stand while a model is deployed; the model's own digits follow."""
    return f"{endpoint(project, environment)}-{job_prefix(project, environment)}"


def job_prefix(project: str, environment: str) -> str:
    """What the names of an environment's jobs, models and endpoint configurations begin with.

    `JOB_DIGITS` hexadecimal digits follow, then nothing or a hyphen and what the job does, and of a second to fifth
    judgement its number. The longest, `<24 characters>-local-<16 digits>-challenger` and `…-champion-5`, have 58
    characters; SageMaker takes 63.
    """
    return f"{project}-{environment}-"


def job(project: str, environment: str, execution_arn: str) -> str:
    """Name the jobs of an execution, its model and its endpoint configuration.

    The same formula stands in statemachines/training.asl.yaml; a test holds the two together.
    """
    digest = hashlib.sha256(execution_arn.encode()).hexdigest()
    return job_prefix(project, environment) + digest[:JOB_DIGITS]


def search_prefix(project: str, environment: str) -> str:
    """What the names of an environment's tuning jobs begin with; `JOB_DIGITS` hexadecimal digits follow.

    SageMaker takes 32 characters there, so that project and environment are a hash, with the project's beginning to
    be known by: `<8 characters>-<6 digits>-<16 digits>`.
    """
    digest = hashlib.sha256(job_prefix(project, environment).encode()).hexdigest()
    return f"{project[:8].rstrip('-')}-{digest[:6]}-"


def experiment(project: str, environment: str) -> str:
    """The experiment of an environment's runs; the registered model of its versions has the same name."""
    return f"{project}-{environment}"


def online_store(project: str, environment: str) -> str:
    """Feast's project, which the names of the online store's tables begin with; Feast takes no hyphen."""
    return f"{project}_{environment}".replace("-", "_")


def online_table(store: str, view: str) -> str:
    """The table of a view, under the name that Feast looks for it by."""
    return f"{store}.{view}"


def offline_database(project: str, environment: str) -> str:
    """The database of the tables that Athena reads; it knows neither capitals nor hyphens."""
    return f"sluice_{online_store(project, environment)}"


def execution_name(bucket: str, key: str, version_id: str) -> str:
    """Name the training execution of one object version, so that a second event for it starts nothing.

    The same formula stands in statemachines/intake.asl.yaml; a test holds the two together. The version
    id alone tells two uploads of a key apart; the sequencer would add nothing, and a client that has just put
    the object would not know it.
    """
    stem = re.sub(r"[^A-Za-z0-9]+", "-", key.rsplit("/", 1)[-1])[:40]
    digest = hashlib.sha256(f"{bucket}/{key}?{version_id}".encode()).hexdigest()
    return f"{stem}-{digest[:32]}"


def dataset_version(sha256: str) -> str:
    """Name a part, or a dataset version, by the SHA-256 (hex) of its Parquet file, or of its list of parts."""
    return sha256[:16]


def list_of_parts(sha256s: Sequence[str]) -> str:
    """Hash a list of parts, each given by its SHA-256, a line each: one part alone is called as it is.

    `printf '%s\\n' SHA256 SHA256 … | sha256sum` gives the same.
    """
    if len(sha256s) == 1:
        return sha256s[0]
    return hashlib.sha256("".join(f"{each}\n" for each in sha256s).encode()).hexdigest()


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
