"""Root only as long as it takes: SageMaker starts every container as root, and no request is answered as root."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from sluice.errors import SluiceError

USER = 10001
"""A user, and its group, that owns nothing and has no name in the images."""


class PrivilegesKept(SluiceError):
    """A process of root's cannot become somebody else's."""


def drop(model: Path) -> None:
    """Where this process is root's, make the model readable and start it anew as USER; else do nothing.

    A new process image, not only another user id: what root's had opened for debuggers and /proc stays root's.

    Raises:
        PrivilegesKept: this root may not become another user, or the model's files are for root alone and stay so.
    """
    if os.geteuid() != 0:
        return
    try:
        for folder in (model.parent, model):
            _open(folder)
        open_to_all(model)
        os.setgroups([])
        os.setgid(USER)
        os.setuid(USER)
        os.environ["HOME"] = "/"
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - itself, with its own arguments
    except OSError as error:
        raise PrivilegesKept(
            "the server started as root and cannot go on as anybody else",
            where=str(error.filename or "setgroups, setgid, setuid, exec"),
            why=str(error),
            fix=f"start the container with the capabilities Docker gives by default, or as user {USER} with a model "
            "that everybody may read",
        ) from error


def open_to_all(folder: Path) -> None:
    """Let everybody read the files below a folder and enter its folders; what allows it already is not touched.

    Raises:
        OSError: a mode cannot be changed.
    """
    for path in folder.rglob("*"):
        # A link has no mode of its own, and what it leads to may lie anywhere.
        if not path.is_symlink():
            _open(path)


def _open(path: Path) -> None:
    mode = path.stat().st_mode
    wanted = mode | (stat.S_IROTH | stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH)
    if wanted != mode:
        path.chmod(stat.S_IMODE(wanted))
