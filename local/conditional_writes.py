"""S3's conditional writes: one of several at once succeeds. moto looks and writes in two steps, in threads."""

from __future__ import annotations

import threading
from functools import wraps
from typing import TYPE_CHECKING, Any

from moto.s3.responses import S3Response

if TYPE_CHECKING:
    from local.context import Context

_ONE_AT_A_TIME = threading.Lock()


def install(_context: Context) -> None:
    """Let one conditional write look and write before the next one looks."""
    put_object = S3Response.put_object

    @wraps(put_object)
    def put(self: Any) -> Any:
        if "If-Match" not in self.headers and "If-None-Match" not in self.headers:
            return put_object(self)
        with _ONE_AT_A_TIME:
            return put_object(self)

    S3Response.put_object = put
