"""What a RUN made, kept for later builds of the same: Docker's build cache, for what takes the time here."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "build" / "layers"
"""Of all state folders of this checkout, as Docker's is of the machine."""


class Layers:
    """Layers under `<folder>/<key>`: the files that a command wrote, and what it said.

    A key is of all that the command can see: the image's files, its words and environment, the interpreter, and which
    programs the machine has. What deletes files is not kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def made(
        self, rootfs: Path, command: Sequence[str], env: Mapping[str, str], make: Callable[[], str]
    ) -> tuple[str, bool]:
        """Let `make` change `rootfs`, or do what it did before; give what it said, and whether it was kept.

        Whatever `make` raises passes through, and is not kept.
        """
        before = files(rootfs)
        layer = self._folder / _key(before, command, env)
        if layer.is_dir():
            shutil.copytree(layer / "files", rootfs, dirs_exist_ok=True, symlinks=True)
            return (layer / "said").read_text(), True
        said = make()
        after = files(rootfs)
        if before.keys() <= after.keys():
            self._keep(layer, rootfs, [path for path in after if before.get(path) != after[path]], said)
        return said, False

    def _keep(self, layer: Path, rootfs: Path, changed: Sequence[str], said: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(dir=self._folder))
        (staged / "files").mkdir()
        (staged / "said").write_text(said)
        for path in changed:
            target = staged / "files" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(rootfs / path, target, follow_symlinks=False)
        # Another build of the same was faster: what it kept is as good.
        with contextlib.suppress(OSError):
            staged.rename(layer)
        shutil.rmtree(staged, ignore_errors=True)


def files(folder: Path) -> dict[str, str]:
    """Give the SHA-256 of every file below a folder, and of where every link leads, by relative path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            content = b"link to " + os.fsencode(path.readlink())
        elif path.is_file():
            content = path.read_bytes()
        else:
            continue
        found[path.relative_to(folder).as_posix()] = hashlib.sha256(content).hexdigest()
    return found


def _key(before: Mapping[str, str], command: Sequence[str], env: Mapping[str, str]) -> str:
    interpreter = Path(command[0]).resolve()
    # A folder of programs has another time when one came, went or was replaced.
    programs = [Path(each) for each in os.environ.get("PATH", "").split(os.pathsep) if Path(each).is_dir()]
    seen = {
        "files": before,
        "command": [*command],
        "env": {**env},
        "python": [str(interpreter), interpreter.stat().st_mtime_ns, sys.platform, *os.uname()],
        "programs": [(str(each), each.stat().st_mtime_ns) for each in programs],
        "compilers": {
            name: value for name, value in os.environ.items() if name in ("CC", "CXX", "CFLAGS", "LDFLAGS")
        },
    }
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()
