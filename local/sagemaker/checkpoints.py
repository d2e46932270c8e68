"""A training job's checkpoints: fetched from S3 before its container starts, copied there for as long as it runs."""

from __future__ import annotations

import logging
import threading
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.sagemaker.errors import JobFailed, unsupported
from local.sagemaker.storage import download_prefix, parse_s3_uri

logger = logging.getLogger(__name__)

DEFAULT_PATH = "/opt/ml/checkpoints"
INTERVAL_SECONDS = 0.2


class Checkpoints:
    """The folder of a job's checkpoints, and its copy in S3; nothing where the job has none.

    In a `with` it copies what changes, and once more at the end.
    """

    def __init__(self, s3: Any, config: dict[str, Any] | None, base: Path) -> None:
        self._s3 = s3
        self._uri = config["S3Uri"].rstrip("/") + "/" if config else ""
        self._folder = base / local_folder(config or {})
        self._seen: dict[Path, tuple[int, int]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_copying, name="checkpoints", daemon=True)

    def restore(self) -> None:
        """Fetch what lies in S3; a first run finds nothing."""
        if not self._uri:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        bucket, prefix = parse_s3_uri(self._uri)
        try:
            there = self._s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)["KeyCount"]
        except (ClientError, BotoCoreError) as error:
            raise JobFailed(f"ClientError: Checkpoint download failed: {self._uri}: {error}") from error
        if there:
            download_prefix(self._s3, self._uri, self._folder)

    def __enter__(self) -> Checkpoints:
        if self._uri:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Copy what changed last; raises JobFailed where S3 refuses it."""
        if not self._uri:
            return
        self._ended.set()
        self._thread.join()
        try:
            self._copy()
        except (ClientError, BotoCoreError, OSError) as refused:
            raise JobFailed(f"ClientError: Checkpoint upload failed: {self._uri}: {refused}") from refused

    def _keep_copying(self) -> None:
        while not self._ended.wait(INTERVAL_SECONDS):
            try:
                self._copy()
            except FileNotFoundError:
                continue  # the container has replaced it meanwhile: the next round takes the new one
            except (ClientError, BotoCoreError, OSError) as error:
                logger.warning("checkpoints are not copied to %s: %s", self._uri, error)

    def _copy(self) -> None:
        bucket, prefix = parse_s3_uri(self._uri)
        for path in sorted(each for each in self._folder.rglob("*") if each.is_file()):
            state = path.stat()
            changed = (state.st_mtime_ns, state.st_size)
            if self._seen.get(path) == changed:
                continue
            self._s3.upload_file(str(path), bucket, prefix + path.relative_to(self._folder).as_posix())
            self._seen[path] = changed


def local_folder(config: dict[str, Any]) -> str:
    """The folder below /opt/ml that a CheckpointConfig names; refused, by name, where it is elsewhere."""
    path = PurePosixPath(config.get("LocalPath") or DEFAULT_PATH)
    if not path.is_relative_to("/opt/ml") or ".." in path.parts:
        raise unsupported(f"CheckpointConfig.LocalPath {path}", "Use a folder below /opt/ml.")
    return path.relative_to("/opt/ml").as_posix()
