"""Files and folders under build/ that are either whole or not there, also with two synths at once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `target` when the block ends without an error."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".incomplete-") as scratch:
        made = Path(scratch) / target.name
        made.mkdir()
        yield made
        try:
            made.rename(target)
        except OSError:
            # Another synth was first. What it made has the same name, so the same content.
            if not target.is_dir():
                raise


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Yield a path that becomes `target` when the block ends without an error."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".incomplete-") as scratch:
        made = Path(scratch) / target.name
        yield made
        made.replace(target)
