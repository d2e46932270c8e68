"""Writes containers/*/requirements.txt from uv.lock: `python -m infra.requirements` after each `uv lock`."""

from __future__ import annotations

from infra import uv
from infra.build import ROOT

IMAGES = ("process", "features", "train", "serve")
# Without the image's name: two images that need the same share the layer.
_HEADER = """\
# Written by `python -m infra.requirements` from uv.lock; a test holds the two together.
"""


def text(image: str) -> str:
    """Give an image's requirements, every file with its hashes: pip takes no other."""
    return _HEADER + uv.export(image, hashes=True)


if __name__ == "__main__":
    for each in IMAGES:
        (ROOT / "containers" / each / "requirements.txt").write_text(text(each))
