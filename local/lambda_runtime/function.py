"""What a worker has to know of a function, and the function's code on disk."""

from __future__ import annotations

import base64
import contextlib
import io
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class UnsupportedFunction(Exception):
    """The function cannot run here; the text says why and what would."""


@dataclass(frozen=True)
class Function:
    """One version of a function. Two are equal when a worker of one can serve the other."""

    arn: str
    name: str
    version: str
    handler: str
    runtime: str
    region: str
    code_sha256: str
    memory_mb: int
    log_group: str
    log_format: str
    log_level: str
    system_log_level: str
    environment: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, function: Any) -> Function:
        """From moto's LambdaFunction. Raises UnsupportedFunction for what only AWS runs."""
        runtime = function.run_time or ""
        for unsupported, problem in (
            (function.package_type != "Zip", "it is a container image"),
            (not runtime.startswith("python"), f"its runtime is {runtime or 'not set'}, not Python"),
            (bool(function.layers), "it has layers"),
            (not function.code_sha_256, "it has no code"),
        ):
            if unsupported:
                raise UnsupportedFunction(
                    f"the local AWS cannot run the function {function.function_name}: {problem}; "
                    "it runs Python functions deployed as a zip file"
                )
        return cls(
            arn=function.function_arn,
            name=function.function_name,
            version=str(function.version),
            handler=function.handler,
            runtime=runtime,
            region=function.region,
            code_sha256=base64.b64decode(function.code_sha_256).hex(),
            memory_mb=int(function.memory_size),
            log_group=function.logs_group_name,
            log_format=function.logging_config["LogFormat"],
            log_level=function.logging_config.get("ApplicationLogLevel", ""),
            system_log_level=function.logging_config.get("SystemLogLevel", ""),
            environment=tuple(sorted((k, str(v)) for k, v in (function.environment_vars or {}).items())),
        )


def unpack(code: bytes, sha256: str, root: Path) -> Path:
    """The folder with the function's code, unzipped once for all functions that share it."""
    folder = root / sha256
    if not folder.exists():
        root.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=root, prefix="partial-"))
        with zipfile.ZipFile(io.BytesIO(code)) as archive:
            archive.extractall(partial)
        with contextlib.suppress(OSError):  # another thread was faster
            partial.rename(folder)
        shutil.rmtree(partial, ignore_errors=True)
    return folder
