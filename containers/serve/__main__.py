"""The serving image's entrypoint: `python -m containers.serve serve`."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from types import FrameType

from containers.paths import MlPaths
from containers.serve.json_logs import log_as_json

logger = logging.getLogger("containers.serve")

# SageMaker kills a container 30 s after SIGTERM; an invocation may take up to 60 s, so not every one can be kept.
_GRACE_SECONDS = 25


def main(arguments: list[str]) -> int:
    if arguments != ["serve"]:
        print("usage: python -m containers.serve serve", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _stop)
    log_as_json()
    try:
        _serve(os.environ)
    except Exception as error:
        logger.exception("the model cannot be served: %s", error)
        return 1
    return 0


def _serve(environment: Mapping[str, str]) -> None:
    started = time.perf_counter()
    # Only now: importing them takes most of the start, and a usage error needs none of it.
    import uvicorn

    from containers.serve.app import Application
    from containers.serve.scorer import ModelScorer

    scorer = ModelScorer(MlPaths.of(environment).model)
    application = Application(scorer)
    host, port = bind_address(environment)
    logger.info("model loaded in %.2f s, serving on %s:%d", time.perf_counter() - started, host, port)
    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        http="httptools",
        loop="uvloop",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    try:
        uvicorn.Server(config).run()
    finally:
        application.close()
        logger.info("stopped")


def bind_address(environment: Mapping[str, str]) -> tuple[str, int]:
    """Choose host and port.

    A container listens on all its interfaces, as SageMaker reaches it from outside. With SAGEMAKER_BASE_DIR set
    there is no container around the process: then it listens on this machine only.
    """
    local = bool(environment.get("SAGEMAKER_BASE_DIR"))
    port = int(environment.get("SAGEMAKER_BIND_TO_PORT") or "8080")
    return ("127.0.0.1" if local else "0.0.0.0"), port  # noqa: S104


def _stop(_number: int, _frame: FrameType | None) -> None:
    """While the model is loaded this ends the process; uvicorn takes over from there, and calls it at its end."""
    logger.info("SIGTERM: stopping")
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
