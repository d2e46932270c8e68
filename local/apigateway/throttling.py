"""How many requests a stage and a key let through: token buckets, and a quota a day."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from local.apigateway.refusals import Refusal

# What an account has: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
_ACCOUNT_RATE, _ACCOUNT_BURST = 10_000.0, 5_000
_DAY_SECONDS = 86_400


class Throttles:
    """Who has asked how often. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens: dict[Hashable, tuple[float, float]] = {}
        self._asked: dict[Hashable, tuple[int, int]] = {}

    def take(self, key: Hashable, rate: float, burst: int) -> None:
        """Raises Refusal where `burst` requests came at once and `rate` a second since.

        https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-request-throttling.html
        """
        now = self._clock()
        with self._lock:
            left, at = self._tokens.get(key, (float(burst), now))
            left = min(float(burst), left + (now - at) * rate)
            if left < 1:
                self._tokens[key] = left, now
                raise Refusal("THROTTLED", "Too Many Requests")
            self._tokens[key] = left - 1, now

    def count(self, key: Hashable, limit: int) -> None:
        """Raises Refusal where `limit` requests were made this day (UTC)."""
        today = int(self._clock() // _DAY_SECONDS)
        with self._lock:
            day, asked = self._asked.get(key, (today, 0))
            asked = asked if day == today else 0
            if asked >= limit:
                raise Refusal("QUOTA_EXCEEDED", "Limit Exceeded")
            self._asked[key] = today, asked + 1


def of_method(settings: Mapping[str, Any], path: str, verb: str) -> tuple[float, int]:
    """The rate and burst that a stage's settings give a method: its own, those of all, or the account's."""
    own = f"{path.replace('/', '~1')}/{verb}"
    for name in (own, "*/*"):
        if name in settings:
            return float(settings[name]["throttlingRateLimit"]), int(settings[name]["throttlingBurstLimit"])
    return _ACCOUNT_RATE, _ACCOUNT_BURST
