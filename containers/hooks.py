"""The project's own Python code: unpacked, imported and called; a failure is traced to file and line."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from sluice.errors import ProjectError, SluiceError

_MAX_UNPACKED_BYTES = 512 * 1024 * 1024


def unpack_project(channel: Path, folder: Path) -> Path:
    """Unpack the one zip of the code channel into `folder`.

    Raises:
        ProjectError: there is not exactly one zip, or it would write outside of `folder`.
    """
    archives = sorted(channel.glob("*.zip"))
    if len(archives) != 1:
        raise ProjectError(
            f"expected one zip of the project, found {len(archives)}",
            where=str(channel),
            fix="deploy the project again",
        )
    folder.mkdir(parents=True, exist_ok=True)
    root = folder.resolve()
    try:
        with zipfile.ZipFile(archives[0]) as archive:
            if sum(member.file_size for member in archive.infolist()) > _MAX_UNPACKED_BYTES:
                raise ProjectError(
                    "the project is too large", where=archives[0].name, fix="leave data files out of it"
                )
            for member in archive.namelist():
                if not (root / member).resolve().is_relative_to(root):
                    raise ProjectError(f"the project's zip holds {member!r}", where=archives[0].name)
            archive.extractall(root)
    except zipfile.BadZipFile as error:
        raise ProjectError(
            "the project's zip cannot be read", where=archives[0].name, why=str(error)
        ) from error
    return folder


def copy_code(folder: Path, target: Path) -> None:
    """Copy the project's Python files, with their folders, to where a model keeps them."""
    for file in sorted(folder.rglob("*.py")):
        place = target / file.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)


def load_hooks(file: Path, error: type[SluiceError]) -> ModuleType:
    """Import a file of the project under its own name, so that pickles find its classes by it again.

    Raises:
        SluiceError: of class `error`: it does not compile, or raises when imported.
    """
    folder = str(file.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise error("this is no Python file", where=file.name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    run = spec.loader.exec_module
    guarded(lambda: run(module), file.parent, f"importing {file.name}", error)
    return module


def guarded(call: Callable[[], Any], folder: Path, doing: str, error: type[SluiceError]) -> Any:
    """Call code of the project; what it raises, SystemExit too, becomes an `error` that says where.

    Args:
        call: runs the code.
        folder: the project's; the deepest frame in it is the place named.
        doing: what failed, as in "build_model of train.py".
        error: the class to raise.
    """
    try:
        return call()
    except SluiceError:
        raise
    except SystemExit as stop:
        raise error(
            f"{doing} called sys.exit({'' if stop.code is None else repr(stop.code)})",
            where=place_in(stop, folder),
            why="the process would have ended without saying why",
            fix="raise an exception that says what is wrong",
        ) from stop
    except Exception as raised:
        traceback.print_exc()
        raise error(
            f"{doing} raised {type(raised).__name__}",
            where=place_in(raised, folder),
            why=str(raised) or "it carries no message",
            fix="mend the code and deploy again; the job's log has the whole traceback",
        ) from raised


def place_in(error: BaseException, folder: Path) -> str:
    """Say `train.py:12 in build_model`: the deepest frame of a traceback that lies in `folder`."""
    root = folder.resolve()
    if (
        isinstance(error, SyntaxError)
        and error.filename
        and Path(error.filename).resolve().is_relative_to(root)
    ):
        return f"{Path(error.filename).resolve().relative_to(root)}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    for frame in reversed(frames):
        file = Path(frame.filename).resolve()
        if file.is_relative_to(root):
            return f"{file.relative_to(root)}:{frame.lineno} in {frame.name}"
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""
