"""What a person sees while they wait: lines on stderr, one per finished step."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Show a step while it runs (on a terminal) and its seconds when it is done."""
    live = sys.stderr.isatty()
    if live:
        print(f"  … {name}", end="\r", file=sys.stderr, flush=True)
    start = time.monotonic()
    try:
        yield
    except BaseException:
        say(f"  ✗ {name:<34} {time.monotonic() - start:6.1f} s")
        raise
    say(f"  ✓ {name:<34} {time.monotonic() - start:6.1f} s")
