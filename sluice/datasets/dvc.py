"""Dataset versions as DVC knows them: the parts of one are a folder, a part alone is a file.

What is here are the bytes that DVC 3 itself writes, for files tracked by their MD5; the objects lie in
`sluice.keys.STORED`, so that `datasets/` is a DVC remote.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from sluice.payloads.documents import Manifest, Part

_DIGITS = 5


@dataclass(frozen=True)
class Folder:
    """A folder as an object: `md5` names it, with `.dir` after it."""

    listing: bytes
    md5: str


def folder(parts: Sequence[Part]) -> Folder:
    """Make the folder that holds a version's parts; by their names they are in the order in which they count."""
    digits = max(_DIGITS, len(str(len(parts))))
    entries = [
        {"md5": part.md5, "relpath": f"part-{number:0{digits}}.parquet"}
        for number, part in enumerate(parts, start=1)
    ]
    # To the byte what DVC makes of such a folder (dvc_data.hashfile.tree.Tree.as_bytes), so that `dvc add` of it
    # gives the same name.
    listing = json.dumps(entries, sort_keys=True).encode()
    return Folder(listing, hashlib.md5(listing, usedforsecurity=False).hexdigest())


def pointer(manifest: Manifest, path: str, remote: str, *, alone: bool) -> dict[str, object]:
    """Give the content of the `.dvc` file by which `dvc pull` brings a version from `remote` to `path` beside it.

    Where it is `alone`, as a file, which a version of one part can be; else as a folder of its parts.
    """
    size = {"size": manifest.bytes, "hash": "md5", "path": path, "remote": remote}
    if alone:
        (part,) = manifest.parts
        out: dict[str, object] = {"md5": part.md5, **size}
    else:
        out = {"md5": f"{folder(manifest.parts).md5}.dir", "nfiles": len(manifest.parts), **size}
    version = {
        "project": manifest.project,
        "dataset_version": manifest.dataset_version,
        "sha256": manifest.sha256,
        "rows": manifest.rows,
    }
    return {"outs": [out], "meta": {"sluice": version}}
