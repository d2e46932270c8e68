"""How a handler's error leaves the function: under its own name, in the form that the report reads."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from sluice.errors import SluiceError, to_wire

# A cause in Step Functions has 32,768 characters, and the runtime adds a stack trace to it.
_MOST_BYTES = 8_000

Handler = Callable[[dict[str, Any], object], dict[str, Any]]


def on_the_wire(handler: Handler) -> Handler:
    """Let a SluiceError that `handler` raises leave it as an exception of that name whose text is its wire form.

    The runtime makes `errorType` and `errorMessage` of them; Step Functions matches the name.
    """

    @functools.wraps(handler)
    def told(event: dict[str, Any], context: object) -> dict[str, Any]:
        try:
            return handler(event, context)
        except SluiceError as error:
            kind: type[Exception] = type(error.name, (Exception,), {})
            raise kind(to_wire(error, most_bytes=_MOST_BYTES)) from error

    return told
