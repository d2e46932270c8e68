"""The entrypoint of Feast's image, and of its environment at synth: python -m containers.features COMMAND."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from containers.paths import MlPaths
from containers.supervision import supervise
from sluice.errors import SluiceError, TrainingSetFailed

_COMMANDS: dict[str, tuple[str, type[SluiceError]]] = {
    "build-training-set": ("containers.features.build_training_set", TrainingSetFailed),
}


def main(arguments: list[str]) -> int:
    match arguments:
        case ["plan", folder]:
            return _plan(Path(folder))
        case ["plan", folder, store, registry]:
            return _plan(Path(folder), store, Path(registry))
        case [command] if command in _COMMANDS:
            module, error = _COMMANDS[command]
            return supervise(module, [], failure_file=MlPaths.of(os.environ).processing_message, error=error)
    print(
        f"usage: python -m containers.features {' | '.join(_COMMANDS)} | plan FOLDER [STORE FILE]",
        file=sys.stderr,
    )
    return 2


def _plan(folder: Path, store: str = "", registry: Path | None = None) -> int:
    """Print the project's feature plan as JSON; what is wrong with it goes to stderr, with status 1.

    Feast's registry of it, where Feast's project is `store`, is written to the file `registry`.
    """
    from containers.features.definitions import read

    try:
        definitions, plan = read(folder)
    except SluiceError as error:
        print(error, file=sys.stderr)
        return 1
    if registry is not None:
        from containers.features.registry import registry_of

        registry.write_bytes(registry_of(definitions, plan, store))
    print(plan.model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
