"""The training image's entrypoint: `python -m containers.train train`."""

from __future__ import annotations

import os
import sys

from containers.paths import MlPaths
from containers.privileges import open_to_all
from containers.supervision import supervise
from sluice.errors import TrainingFailed


def main(arguments: list[str]) -> int:
    if arguments != ["train"]:
        print("usage: python -m containers.train train", file=sys.stderr)
        return 2
    paths = MlPaths.of(os.environ)
    status = supervise(
        "containers.train.training", [], failure_file=paths.training_failure, error=TrainingFailed
    )
    # Whatever umask the project's code set: the server reads the model as another user.
    if status == 0:
        open_to_all(paths.model)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
