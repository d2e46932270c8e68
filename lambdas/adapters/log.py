"""One structured line for each decision: Lambda writes a record and its extra fields as JSON.

No values of rows go into these lines, nor into the error of a refused file, which Lambda logs itself.
"""

from __future__ import annotations

import logging
from typing import Any

_LOGGER = logging.getLogger("sluice")
_LOGGER.setLevel(logging.INFO)


def decided(what: str, *, execution: str, **fields: Any) -> None:
    """Log a decision with the name of the execution it was made in.

    https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html
    """
    _LOGGER.info(what, extra={"execution": execution, **fields})
