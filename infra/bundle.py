"""A function's asset: our code, the project's definition and, for AWS, wheels for Lambda's platform."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from infra import uv
from infra.build import ROOT, whole_file, whole_folder
from infra.features import plan_file
from sluice.errors import SluiceError
from sluice.features.source import PLAN, REGISTRY

PYTHON_VERSION = "3.13"
# Lambda's python3.13 is Amazon Linux 2023, glibc 2.34.
PLATFORM = "x86_64-manylinux_2_28"
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
UNZIPPED_LIMIT = 250 * 1024 * 1024

_STRIPPED_NAMES = {
    "bin": "console scripts: nobody calls one, and their first line names this machine's interpreter",
    "__pycache__": "made by whatever interpreter ran uv, not by Lambda's",
    "RECORD": "lists files that were stripped",
}
_STRIPPED_PATHS = {
    "pyarrow/include/**/*": "C++ headers, to compile against Arrow",
    "pyarrow/src/**/*": "C++ sources",
    "pyarrow/tests/**/*": "its own tests",
    "pyarrow/*.pxi": "Cython sources, compiled already",
    "pyarrow/*.pyx": "Cython sources, compiled already",
    "pyarrow/*.pxd": "Cython sources, compiled already",
    "pyarrow/includes/**/*": "Cython sources, compiled already",
    "pyarrow/*flight*": "Flight RPC, 34 MB: no handler speaks to a Flight server",
    "pyarrow/*_cpp_tests*": "its own tests",
    "pyarrow/libarrow_python*.so": "a link to the versioned library, which a wheel stores as a second copy",
    "pyarrow/libarrow_python*.so.*.*.*": "a third copy; the loader asks for the name with one number",
}
_OWN_PACKAGES = ("sluice", "lambdas")
_NOT_SHIPPED = {
    Path("sluice/costing"): "adds up bills, for the command line alone",
    Path("sluice/drafting"): "writes projects, for the command line alone",
    Path("sluice/reproducing"): "compares builds, for the command line alone",
}
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold


class BundleError(SluiceError):
    """The Lambda asset cannot be built."""


@dataclass(frozen=True)
class _File:
    """A file that goes into a bundle, and what it holds."""

    path: Path
    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Self:
        body = path.read_bytes()
        return cls(path, len(body), hashlib.sha256(body).hexdigest())


def build(
    project_folder: Path,
    *,
    group: str | None,
    registry: Path | None = None,
    build_dir: Path = ROOT / "build",
) -> Path:
    """Return the zip of our code, the project's definition and feature plan, and a group's wheels, if any.

    `registry` is Feast's, for the function that publishes it.

    The zip is named for its content, which makes the asset's hash: the same content is the same asset on any
    machine. A second call with nothing changed reads the files and returns; only a changed lock needs a
    package index.

    Raises:
        BundleError: the content is larger than Lambda allows.
        UvError: uv is missing, or there is no package index.
    """
    content = {name: _File.of(path) for name, path in _own_files(project_folder)}
    if registry is not None:
        content[f"project/{REGISTRY}"] = _File.of(registry)
    if group is not None:
        content |= _wheel_files(group, build_dir / "wheels")
    size = sum(file.size for file in content.values())
    if size > UNZIPPED_LIMIT:
        raise BundleError(
            f"the Lambda bundle is {size / 2**20:.0f} MB unzipped; Lambda allows 250 MB",
            where=f"dependency group `{group}` in pyproject.toml",
            fix="leave a dependency out, or strip what no handler needs in infra/bundle.py",
        )
    target = build_dir / "lambda" / f"{_content_key(content)}.zip"
    if not target.exists():
        _write_zip(content, target)
    return target


def _own_files(project_folder: Path) -> Iterator[tuple[str, Path]]:
    for package in _OWN_PACKAGES:
        for path in (ROOT / package).rglob("*"):
            name = path.relative_to(ROOT)
            shipped = not _NOT_SHIPPED.keys() & set(name.parents)
            if shipped and path.is_file() and "__pycache__" not in path.parts:
                yield name.as_posix(), path
    yield "project/project.toml", project_folder / "project.toml"
    if plan := plan_file(project_folder):
        yield f"project/{PLAN}", plan


def _wheel_files(group: str, folder: Path) -> Mapping[str, _File]:
    requirements = uv.export(group, hashes=True)
    # Keyed by the lock alone: which files of a wheel are left out is decided below, each time.
    key = hashlib.sha256(f"{PLATFORM} {PYTHON_VERSION}\n{requirements}".encode()).hexdigest()[:16]
    installed = folder / key
    if not installed.is_dir():
        _install(requirements, installed)
    return _shipped(installed)


# What was installed stays as it is, and functions share it: read once, not once for each of them.
@cache
def _shipped(installed: Path) -> Mapping[str, _File]:
    stripped = {path for pattern in _STRIPPED_PATHS for path in installed.glob(pattern)}
    return {
        path.relative_to(installed).as_posix(): _File.of(path)
        for path in installed.rglob("*")
        if path.is_file()
        and path not in stripped
        and not _STRIPPED_NAMES.keys() & set(path.relative_to(installed).parts)
    }


def _install(requirements: str, target: Path) -> None:
    with whole_folder(target) as folder:
        listing = folder.parent / "requirements.txt"
        listing.write_text(requirements)
        uv.run(
            *("pip", "install", "--quiet", "--python", sys.executable, "--target", str(folder)),
            *("--python-platform", PLATFORM, "--python-version", PYTHON_VERSION, "--only-binary", ":all:"),
            *("--require-hashes", "--no-compile-bytecode", "--link-mode", "copy", "-r", str(listing)),
        )


def _content_key(content: Mapping[str, _File]) -> str:
    digest = hashlib.sha256()
    for name in sorted(content):
        digest.update(f"{name}\0{content[name].sha256}\n".encode())
    return digest.hexdigest()[:32]


def _write_zip(content: Mapping[str, _File], target: Path) -> None:
    """Writes sorted entries with one date and one mode: nothing of this machine is in the bytes."""
    with whole_file(target) as made, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(content):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, also when built elsewhere
            entry.external_attr = 0o100644 << 16
            # Three times as fast as the usual level, and a tenth larger.
            archive.writestr(entry, content[name].path.read_bytes(), compresslevel=1)
