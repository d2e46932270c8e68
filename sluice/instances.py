"""What SageMaker runs for a project, which setting chooses the instance type, and which quota limits how many."""

from __future__ import annotations

import re
from enum import Enum

# What a fresh account may start: of all processing quotas only those of ml.t3 are above 0 by default, and of those of
# training and batch transform none. Batch transform knows no ml.t3.
PROCESSING = "ml.t3.large"
TRANSFORM = "ml.m5.large"

_LIMIT = re.compile(r"service limit (?:for )?(?:'([^']+)'|(\S+)) is \d")


class Use(Enum):
    """A use of instances, by the words its quota has for it; `setting` is where a person chooses the type."""

    PROCESSING = "processing job"
    # Before the next one, whose words are in it.
    SPOT_TRAINING = "spot training job"
    TRAINING = "training job"
    TRANSFORM = "transform job"
    ENDPOINT = "endpoint"

    @property
    def setting(self) -> str:
        return _SETTINGS[self]

    def quota(self, instance_type: str) -> str:
        """Name the quota on instances of a type for this use, as Service Quotas and SageMaker's refusals do."""
        return f"{instance_type} for {self.value} usage"


_SETTINGS = {
    Use.PROCESSING: "-c processing_instance_type=… of `cdk deploy`",
    Use.SPOT_TRAINING: "instance_type under [model] in project.toml",
    Use.TRAINING: "instance_type under [model] in project.toml",
    Use.TRANSFORM: "-c transform_instance_type=… of `cdk deploy`",
    Use.ENDPOINT: "instance_type under [serving] in project.toml",
}


def refused(text: str) -> tuple[str, Use | None] | None:
    """Find the quota that SageMaker's refusal names, and the use it is of; nothing where the text names none.

    `ml.m5.large for training job usage`, `Number of instances across all processing jobs` and the older
    `training-job/ml.p2.xlarge` are quotas.
    """
    found = _LIMIT.search(text)
    if found is None:
        return None
    name = found[1] or found[2]
    return name, next((use for use in Use if use.value in name.replace("-", " ")), None)
