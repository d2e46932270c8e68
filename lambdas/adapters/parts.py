"""The files of a dataset version, on this machine."""

from __future__ import annotations

import shutil
from pathlib import Path

from sluice.artifacts import Artifacts
from sluice.datasets.current import check_part
from sluice.payloads.documents import Manifest

_PIECE_BYTES = 8 * 1024 * 1024


def fetched(manifest: Manifest, artifacts: Artifacts, folder: Path) -> list[Path]:
    """Copy a version's parts into `folder`; give the files in the order of the parts.

    Raises:
        PartMissing: somebody deleted one.
    """
    files = []
    for number, part in enumerate(manifest.parts):
        file = folder / f"{number}.parquet"
        check_part(part, manifest.dataset_version, artifacts)
        with artifacts.open(part.key) as source, file.open("wb") as sink:
            shutil.copyfileobj(source, sink, _PIECE_BYTES)
        files.append(file)
    return files
