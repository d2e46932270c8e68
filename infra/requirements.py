"""Writes containers/*/requirements.txt from uv.lock: `python -m infra.requirements` after each `uv lock`."""

from __future__ import annotations

from infra import uv
from infra.build import ROOT

CONTAINERS = ("process", "train", "serve")
_HEADER = """\
# Written by `python -m infra.requirements` from uv.lock; a test holds the two together. One list for all
# three images: what `train` pickles, `process` and `serve` unpickle, under the same versions.
"""


def text() -> str:
    return _HEADER + uv.export("containers", hashes=False)


if __name__ == "__main__":
    for container in CONTAINERS:
        (ROOT / "containers" / container / "requirements.txt").write_text(text())
