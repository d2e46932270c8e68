"""The serving image's entrypoint: `python -m containers.serve serve`."""

from __future__ import annotations

import os
import sys

from containers import privileges
from containers.paths import MlPaths
from containers.serve.server import serve
from containers.serve.settings import Settings
from sluice.errors import SluiceError


def main(arguments: list[str]) -> int:
    if arguments != ["serve"]:
        print("usage: python -m containers.serve serve", file=sys.stderr)
        return 2
    # Before anything imports numpy: threads of its own in each worker would only fight over the same cores.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    try:
        # Only where a container is around it: without one, whoever started this process chose its user.
        if not os.environ.get("SAGEMAKER_BASE_DIR"):
            privileges.drop(MlPaths.of(os.environ).model)
        return serve(Settings.of(os.environ))
    except SluiceError as error:
        print(f"{error.name}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
