"""The peers' environments: one each, under build/bench/, from its pinned requirements."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.serving.model import ROOT

PEERS = Path(__file__).parent / "peers"
ENVIRONMENTS = ROOT / "build" / "bench"

_INSTALL_SECONDS = 1_200


class PeerMissing(Exception):
    """A peer cannot be measured here."""


def environment(peer: str) -> Path:
    """Give the environment's bin folder; make it where it is not there, or not from these requirements.

    Raises:
        PeerMissing: it cannot be installed.
    """
    requirements = PEERS / peer / "requirements.txt"
    folder = ENVIRONMENTS / peer
    made_from = folder / ".made-from"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    if not made_from.is_file() or made_from.read_text() != wanted:
        print(f"installing {peer} into {folder.relative_to(ROOT)}", file=sys.stderr, flush=True)
        _uv(peer, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
        _uv(
            peer,
            "pip",
            "install",
            "--quiet",
            "--python",
            str(folder / "bin" / "python"),
            "-r",
            str(requirements),
        )
        made_from.write_text(wanted)
    return folder / "bin"


def _uv(peer: str, *arguments: str) -> None:
    # `make` exports UV: the machine's own, or the one that setup installed.
    uv = os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")
    try:
        done = subprocess.run(
            [uv, *arguments], capture_output=True, text=True, check=False, timeout=_INSTALL_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerMissing(f"{peer}: {error}; `--without {peer}` leaves it out") from error
    if done.returncode:
        raise PeerMissing(
            f"{peer} cannot be installed; `--without {peer}` leaves it out\n{done.stderr.strip()}"
        )
