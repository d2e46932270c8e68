"""The files of a dataset version, on this machine."""

from __future__ import annotations

import shutil
from pathlib import Path

from sluice import keys
from sluice.artifacts import Artifacts
from sluice.payloads.documents import Manifest

_PIECE_BYTES = 8 * 1024 * 1024


def fetched(manifest: Manifest, artifacts: Artifacts, folder: Path) -> list[Path]:
    """Copy a version's parts into `folder`; give the files in the order of the parts."""
    files = []
    for number, part in enumerate(manifest.parts):
        file = folder / f"{number}.parquet"
        with artifacts.open(keys.dataset(part.name)) as source, file.open("wb") as sink:
            shutil.copyfileobj(source, sink, _PIECE_BYTES)
        files.append(file)
    return files
