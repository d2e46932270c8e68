"""Where SageMaker puts things: /opt/ml, or the folder SAGEMAKER_BASE_DIR names when there is no container."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class MlPaths:
    """The folders below /opt/ml.

    https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
    https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html
    """

    base: Path

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> MlPaths:
        return cls(Path(environment.get("SAGEMAKER_BASE_DIR") or "/opt/ml"))

    @property
    def model(self) -> Path:
        return self.base / "model"

    @property
    def hyperparameters(self) -> Path:
        return self.base / "input" / "config" / "hyperparameters.json"

    @property
    def checkpoints(self) -> Path:
        """What SageMaker keeps of a job that is interrupted, and puts there again."""
        return self.base / "checkpoints"

    @property
    def resources(self) -> Path:
        return self.base / "input" / "config" / "resourceconfig.json"

    def channel(self, name: str) -> Path:
        return self.base / "input" / "data" / name

    @property
    def training_failure(self) -> Path:
        return self.base / "output" / "failure"

    def processing_input(self, name: str) -> Path:
        return self.base / "processing" / "input" / name

    def processing_output(self, name: str) -> Path:
        """Give the folder of an output, made where it does not exist yet."""
        folder = self.base / "processing" / "output" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def processing_message(self) -> Path:
        return self.base / "output" / "message"
