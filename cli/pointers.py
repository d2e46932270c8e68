"""`.dvc` files: written for a dataset version, and read of a file that somebody tracks."""

from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.stack import Stack
from cli.versions import Versions
from sluice.datasets import dvc
from sluice.errors import PartMissing, SluiceError
from sluice.payloads.documents import Manifest

_NAME_ONE = "name a .dvc file that `dvc add` wrote"


class BrokenPointer(SluiceError):
    """A .dvc file that tracks no one file by its MD5, or cannot be read."""


class BadOutput(SluiceError):
    """A version cannot be pointed to by a file of this name."""


@dataclass(frozen=True)
class Tracked:
    """A file that a pointer tracks: its MD5 and size, where it belongs, and the remote the pointer names, if any."""

    pointer: Path
    file: Path
    md5: str
    size: int | None
    remote: str | None


@dataclass(frozen=True)
class Remote:
    """A DVC remote as a repository is configured."""

    name: str
    url: str


def check_name(output: Path, manifest: Manifest) -> None:
    """Check that a version can be pointed to by a file of this name.

    Raises:
        BadOutput: it is no .dvc file's, or one of a single file, and the version has several parts.
    """
    if output.suffix != ".dvc" or not output.stem:
        raise BadOutput(
            f"{output} is no name of a pointer",
            where="--output",
            why="DVC looks for files that end in .dvc",
            fix=f"name it {output.name or manifest.project}.dvc",
        )
    if _is_alone(output) and len(manifest.parts) > 1:
        raise BadOutput(
            f"the dataset version {manifest.dataset_version} is no one file",
            where=f"--output {output}",
            why=f"it has {len(manifest.parts)} parts, and each is a file",
            fix=f"name the pointer {output.name.removesuffix('.parquet.dvc')}.dvc: it is pulled as a folder",
        )


def check_parts(manifest: Manifest, versions: Versions) -> None:
    """Check that a version can be pulled.

    Raises:
        PartMissing: somebody deleted a part; it is named.
    """
    for part in versions.missing(manifest):
        raise PartMissing(
            f"the part {part.name} of the dataset version {manifest.dataset_version} is not there any more",
            where=versions.uri(part.key),
            why=f"somebody deleted the object; it held {part.rows:,} rows of {part.source.uri}",
            fix="take its delete marker away (the bucket keeps versions), or upload that file again",
        )


def write(output: Path, manifest: Manifest, remote: str) -> dict[str, Any]:
    """Write the pointer, and have git ignore what is pulled, as `dvc add` does; give the pointer's content."""
    import yaml

    path = output.stem
    told = dvc.pointer(manifest, path, remote, alone=_is_alone(output))
    output.write_text(yaml.safe_dump(told, sort_keys=False, allow_unicode=True), encoding="utf-8")
    if _above(output, ".git") is not None:
        ignored = output.parent / ".gitignore"
        lines = ignored.read_text(encoding="utf-8").splitlines() if ignored.exists() else []
        if f"/{path}" not in lines:
            ignored.write_text("\n".join([*lines, f"/{path}", ""]), encoding="utf-8")
    return told


def advice(output: Path, deployed: Stack, url: str) -> Iterator[str]:
    """Say what is to be done before `dvc pull` brings what a pointer names."""
    repository = _above(output, ".dvc")
    if repository is None:
        yield "this is no DVC repository yet: dvc init"
    configured = None if repository is None else remotes(repository)[0].get(deployed.name)
    if configured is None or configured.rstrip("/") != url:
        force = "--force " if configured is not None else ""
        yield f"dvc remote add {force}{deployed.name} {url}"
        if deployed.aws_env:
            endpoint = deployed.aws_env["AWS_ENDPOINT_URL"]
            yield f"dvc remote modify --local {deployed.name} endpointurl {endpoint}"
    yield f"dvc pull {shlex.quote(str(output))}"


def read(pointer: Path) -> Tracked:
    """Read the .dvc file of one tracked file.

    Raises:
        BrokenPointer: it is none; the text says what is wrong with it.
    """
    import yaml

    try:
        told = yaml.safe_load(pointer.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BrokenPointer(
            f"{pointer} cannot be read", where="FILE", why=f"it is no YAML: {_line(error)}", fix=_NAME_ONE
        ) from error
    outs = told.get("outs") if isinstance(told, dict) else None
    out = outs[0] if isinstance(outs, list) and len(outs) == 1 else None
    if not isinstance(out, dict) or not isinstance(out.get("path"), str):
        why = "it does not track one path (`outs` with `path`)"
        raise BrokenPointer(f"{pointer} is no pointer to a file", where="FILE", why=why, fix=_NAME_ONE)
    md5, size, remote = str(out.get("md5", "")), out.get("size"), out.get("remote")
    if md5.endswith(".dir"):
        raise BrokenPointer(
            f"{pointer} tracks a folder",
            where=f"FILE, outs: {out['path']}",
            why="an upload is one file",
            fix="track the one file that is to be uploaded: `dvc add FILE`",
        )
    if out.get("hash") != "md5":
        raise BrokenPointer(
            f"{pointer} does not say that it tracks a file by its MD5",
            where=f"FILE, outs: {out['path']}",
            why=f"`hash` is {out.get('hash')!r}: DVC before 3.0 wrote it, whose hash of a text is of other bytes",
            fix=f"`dvc cache migrate --dvc-files`, or `dvc add {out['path']}`, with DVC 3",
        )
    if not re.fullmatch("[0-9a-f]{32}", md5) or not (size is None or isinstance(size, int)):
        raise BrokenPointer(
            f"{pointer} names no file",
            where=f"FILE, outs: {out['path']}",
            why=f"`md5` is {md5!r}, and not 32 hexadecimal digits, or `size` is no number",
            fix=f"`dvc add {out['path']}` writes it anew",
        )
    wdir = told.get("wdir")
    folder = pointer.parent / wdir if isinstance(wdir, str) else pointer.parent
    named = remote if isinstance(remote, str) else None
    return Tracked(pointer, folder / out["path"], md5, size, named)


def remote_of(tracked: Tracked) -> Remote | None:
    """Give the remote that a pointer's bytes are kept in, as its repository is configured; None where none is."""
    repository = _above(tracked.pointer, ".dvc")
    if repository is None:
        return None
    known, default = remotes(repository)
    name = tracked.remote or default
    return None if name is None else Remote(name, known.get(name, ""))


def remotes(repository: Path) -> tuple[dict[str, str], str | None]:
    """Read the remotes of a DVC repository, URL by name, and which of them is the default."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read([repository / ".dvc" / "config", repository / ".dvc" / "config.local"], encoding="utf-8")
    except configparser.Error as error:
        raise BrokenPointer(
            "the DVC repository's configuration cannot be read",
            where=str(repository / ".dvc"),
            why=_line(error),
            fix="`dvc config --list` says what is wrong with it",
        ) from error
    found = {}
    for section in parser.sections():
        named = re.fullmatch("""'?remote "(.+)"'?""", section)
        if named:
            found[named[1]] = parser[section].get("url", "")
    return found, parser.get("core", "remote", fallback=None)


def _is_alone(output: Path) -> bool:
    return output.stem.endswith(".parquet")


def _above(file: Path, name: str) -> Path | None:
    """Give the nearest folder at or above a file's that holds `name`."""
    return next((each for each in file.resolve().parents if (each / name).exists()), None)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
