"""Workers on one listening socket: forked, watched, started again, and ended with their parent."""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType

logger = logging.getLogger(__name__)

# More deaths than this within the window are no accident: then the server ends, and SageMaker sees it.
_MOST_DEATHS = 5
_DEATH_WINDOW_SECONDS = 60.0
_POLL_SECONDS = 0.5

Work = Callable[[int, int], int]
"""Serves as worker number n until it is told to stop, or its lifeline (a file descriptor) is at its end."""


class Workers:
    """Keeps `count` processes at work; `run` returns when they have all ended."""

    def __init__(self, work: Work, count: int, grace_seconds: float) -> None:
        self._work = work
        self._count = count
        self._grace_seconds = grace_seconds
        self._pids: dict[int, int] = {}
        self._deaths: list[float] = []
        self._stop_signal: int | None = None
        # Nobody writes to it. Its end reaches the workers when this process is gone, however it went.
        self._lifeline, self._held = os.pipe()

    def run(self, each_turn: Callable[[], None]) -> int:
        """Start the workers and watch them; 0 after an orderly end. `each_turn` is called about twice a second."""
        wakeup, wakeup_sender = socket.socketpair()
        wakeup_sender.setblocking(False)
        signal.set_wakeup_fd(wakeup_sender.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for worker in range(self._count):
            self._start(worker)
        failed = False
        while self._pids and self._stop_signal is None:
            if select.select([wakeup], [], [], _POLL_SECONDS)[0]:
                wakeup.recv(4096)
            if not self._bury():
                failed = True
                break
            each_turn()
        self._end()
        return 1 if failed else 0

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self._stop_signal = number

    def _start(self, worker: int) -> None:
        pid = os.fork()
        if pid:
            self._pids[pid] = worker
            return
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            # While a worker loads, these end it. Later they are uvicorn's, which raises them again at its own end.
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda _number, _frame: sys.exit(0))
            os.close(self._held)
            code = self._work(worker, self._lifeline)
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        except BaseException:
            logger.exception("worker %d ended by an error", worker)
        finally:
            logging.shutdown()
            # Not sys.exit: nothing of what the parent set up is to be torn down in a child.
            os._exit(code)

    def _bury(self) -> bool:
        """Start dead workers again; False when too many died."""
        for pid, worker in list(self._pids.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            del self._pids[pid]
            now = time.monotonic()
            self._deaths = [death for death in self._deaths if death > now - _DEATH_WINDOW_SECONDS] + [now]
            logger.error("worker %d ended with %d", worker, os.waitstatus_to_exitcode(status))
            if len(self._deaths) > _MOST_DEATHS or os.waitstatus_to_exitcode(status) == CANNOT_SERVE:
                return False
            self._start(worker)
        return True

    def _end(self) -> None:
        for pid in self._pids:
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + self._grace_seconds
        while self._pids:
            for pid in list(self._pids):
                if os.waitpid(pid, os.WNOHANG)[0]:
                    del self._pids[pid]
                elif time.monotonic() > deadline:
                    os.kill(pid, signal.SIGKILL)
            if self._pids:
                time.sleep(0.01)


CANNOT_SERVE = 3
"""The exit code of a worker that would fail again: the model does not load."""
