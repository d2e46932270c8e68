"""One listening socket, as many workers as there are cores, and one uvicorn in each of them."""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from containers.serve.json_logs import json_logs
from containers.serve.metrics import Counters, Totals, embedded_metrics
from containers.serve.settings import Settings
from containers.serve.workers import CANNOT_SERVE, Workers

if TYPE_CHECKING:
    import uvicorn

    from containers.serve.online.by_id import ById
    from containers.serve.scorer import Scorer

logger = logging.getLogger(__name__)

_BACKLOG = 2048

# What a worker holds besides its connections, with room to spare: the loop's, the model's, logs.
_OTHER_DESCRIPTORS = 64


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code.

    The workers share the socket; the first that has loaded its model lets it listen.
    """
    totals = Totals(settings.workers)
    with json_logs(threaded=False), _bound(settings) as listener:

        def work(worker: int, lifeline: int) -> int:
            with json_logs(threaded=True):
                return _work(settings, listener, totals, worker, lifeline)

        return Workers(work, settings.workers, settings.grace_seconds + 2).run(
            _tell_metrics(totals, settings.metrics_seconds)
        )


def _bound(settings: Settings) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((settings.host, settings.port))
    return listener


def _work(settings: Settings, listener: socket.socket, totals: Totals, worker: int, lifeline: int) -> int:
    started = time.perf_counter()
    # Only now: the parent, which forks, stays small and without threads.
    import uvicorn

    from containers.serve.app import Application
    from containers.serve.limits import Limits
    from containers.serve.protocol import Protocol
    from containers.serve.scorer import load_scorer

    counters = totals.counters(worker)
    try:
        scorer = load_scorer(settings.model, counters.predicted)
        by_id = _by_id(settings, scorer, counters)
    except Exception as error:
        logger.exception("the model cannot be served: %s", error)
        return CANNOT_SERVE
    application = Application(scorer, settings, counters, by_id)
    logger.info(
        "worker %d: model loaded in %.2f s, serving on %s:%d",
        *(worker, time.perf_counter() - started, *listener.getsockname()),
    )

    class Bounded(Protocol):
        seconds = min(Protocol.seconds, settings.seconds)
        unread_seconds = settings.seconds
        limits = Limits(_room_for(settings.connections), counters.refusal)

    config = uvicorn.Config(
        application,
        http=Bounded,
        ws="none",
        loop="uvloop",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,  # nobody asks for the client's address
        backlog=_BACKLOG,
        timeout_graceful_shutdown=settings.grace_seconds,
    )
    server = uvicorn.Server(config)
    # What was loaded stays: a collection that looks through it takes as long as a hundred requests.
    gc.collect()
    gc.freeze()
    try:
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(_until_the_parent_ends(server, listener, lifeline))
    finally:
        application.close()
        logger.info("worker %d stopped", worker)
    return 0


def _by_id(settings: Settings, scorer: Scorer, counters: Counters) -> ById | None:
    if not (settings.model / "features.json").exists():
        return None
    # Only here: a model without a feature plan is served without what reads an online store.
    from containers.serve.online.by_id import load_by_id

    return load_by_id(settings.model, scorer, settings.online, counters)


def _room_for(connections: int) -> int:
    """Ask the system for as many descriptors as that takes; fewer connections where it does not give them."""
    wanted = connections + _OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if soft < wanted:
            logger.warning("room for %d connections: the system gives %d descriptors", connections, soft)
            return max(soft - _OTHER_DESCRIPTORS, 1)
    return connections


async def _until_the_parent_ends(server: uvicorn.Server, listener: socket.socket, lifeline: int) -> None:
    def stop() -> None:
        server.should_exit = True
        asyncio.get_running_loop().remove_reader(lifeline)

    # Readable when the parent's end is closed: that is, when the parent is gone.
    asyncio.get_running_loop().add_reader(lifeline, stop)
    await server.serve(sockets=[listener])


def _tell_metrics(totals: Totals, seconds: float) -> Callable[[], None]:
    """Give a function that writes metrics to stdout when so much time has passed since it last did."""
    before, told = totals.sums(), time.monotonic()

    def tell() -> None:
        nonlocal before, told
        if time.monotonic() - told < seconds:
            return
        now = totals.sums()
        line = embedded_metrics(now, before, int(time.time() * 1000))
        before, told = now, time.monotonic()
        if line:
            print(line, flush=True)

    return tell
