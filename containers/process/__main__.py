"""The processing image's entrypoint: `python -m containers.process build-training-set | evaluate`."""

from __future__ import annotations

import os
import sys

from containers.paths import MlPaths
from containers.supervision import supervise
from sluice.errors import EvaluationFailed, SluiceError, TrainingSetFailed

_COMMANDS: dict[str, tuple[str, type[SluiceError]]] = {
    "build-training-set": ("containers.process.build_training_set", TrainingSetFailed),
    "evaluate": ("containers.process.evaluate", EvaluationFailed),
}


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in _COMMANDS:
        print(f"usage: python -m containers.process {' | '.join(_COMMANDS)}", file=sys.stderr)
        return 2
    module, error = _COMMANDS[arguments[0]]
    paths = MlPaths.of(os.environ)
    return supervise(module, [], failure_file=paths.processing_message, error=error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
