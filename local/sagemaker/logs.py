"""Streams the output of a child process, line by line and live, to a CloudWatch log stream."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from local.context import Context

logger = logging.getLogger(__name__)

READ_SIZE = 65_536
MAX_EVENT_CHARACTERS = 60_000  # CloudWatch allows 256 KB an event; four bytes a character at worst


class LogStream:
    """One CloudWatch log stream."""

    def __init__(self, context: Context, region: str, group: str, stream: str) -> None:
        self.group = group
        self.stream = stream
        self._context = context
        self._client = context.client("logs", region)
        self._lock = threading.Lock()
        for create, name in (
            (self._client.create_log_group, {"logGroupName": group}),
            (self._client.create_log_stream, {"logGroupName": group, "logStreamName": stream}),
        ):
            try:
                create(**name)
            except self._client.exceptions.ResourceAlreadyExistsException:
                continue  # the group is shared by all jobs; an endpoint's stream survives a restart

    def write(self, lines: list[str]) -> None:
        """Put the lines; a log service that does not answer must not stop the process that logs."""
        events = [
            {"timestamp": int(time.time() * 1000), "message": line[:MAX_EVENT_CHARACTERS]}
            for line in lines
            if line  # CloudWatch refuses an empty message
        ]
        if not events or self._context.stopping.is_set():
            return
        with self._lock:  # events of one stream must stay in order
            try:
                self._client.put_log_events(
                    logGroupName=self.group, logStreamName=self.stream, logEvents=events
                )
            except (ClientError, BotoCoreError) as error:
                if not self._context.stopping.is_set():
                    logger.error(
                        "%d lines of %s/%s are lost: %s", len(events), self.group, self.stream, error
                    )

    def pump(self, pipe: Any, on_line: Callable[[str], None] | None = None) -> threading.Thread:
        """Copy a process's output pipe to this stream until its end, in a thread of its own."""
        thread = threading.Thread(
            target=self._pump, args=(pipe, on_line), name=f"logs-{self.stream}", daemon=True
        )
        thread.start()
        return thread

    def _pump(self, pipe: Any, on_line: Callable[[str], None] | None) -> None:
        rest = b""
        with pipe:
            # One read returns all that is there: a chatty process is batched, a quiet one is live.
            while chunk := os.read(pipe.fileno(), READ_SIZE):
                *complete, rest = (rest + chunk).split(b"\n")
                self._emit(complete, on_line)
            if rest:
                self._emit([rest], on_line)

    def _emit(self, raw: list[bytes], on_line: Callable[[str], None] | None) -> None:
        lines = [line.decode("utf-8", "replace").rstrip("\r") for line in raw]
        if on_line is not None:
            for line in lines:
                on_line(line)
        if lines:
            self.write(lines)
