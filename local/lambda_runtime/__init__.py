"""Lambda functions as local processes: the official runtime client, a Runtime API server, warm workers."""

from __future__ import annotations

import shutil

from local.context import Context
from local.lambda_runtime import configuration, invoke, versions


def install(context: Context) -> None:
    """Replace moto's Docker-based invocation."""
    shutil.rmtree(context.state_dir / "lambda" / "tmp", ignore_errors=True)  # of a server that was killed
    configuration.install()
    versions.install()
    invoke.install(context)
