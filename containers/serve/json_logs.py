"""Logs as one JSON object a line, which CloudWatch Logs can be asked about by field; written by a thread."""

from __future__ import annotations

import logging
import logging.handlers
import queue
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import orjson


class JsonFormatter(logging.Formatter):
    """Writes time (UTC), level, logger, message and, for errors, the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


class _Queued(logging.handlers.QueueHandler):
    """Hands records on as they are: they stay in this process, nothing has to be pickled."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record


@contextmanager
def json_logs(*, threaded: bool) -> Iterator[None]:
    """Send every log record and warning of this process to stdout as JSON.

    Args:
        threaded: write in a thread, so that nobody waits for whoever reads the logs; not in a process that forks.
    """
    writer = logging.StreamHandler(sys.stdout)
    writer.setFormatter(JsonFormatter())
    logging.captureWarnings(capture=True)
    if not threaded:
        logging.basicConfig(handlers=[writer], level=logging.INFO, force=True)
        yield
        return
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    logging.basicConfig(handlers=[_Queued(records)], level=logging.INFO, force=True)
    listener = logging.handlers.QueueListener(records, writer)
    listener.start()
    try:
        yield
    finally:
        listener.stop()  # writes what is still waiting
