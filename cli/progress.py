"""What a person sees while they wait: lines on stderr, one per finished step."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
_LIVE_SECONDS = 0.2
_LINE_SECONDS = 10.0


def say(text: str) -> None:
    if sys.stderr.isatty():
        print("\x1b[K", end="", file=sys.stderr)  # what a line that changes has left of itself
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


def counted(
    items: Iterable[T], what: str, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic
) -> Iterator[T]:
    """Pass items on, and tell how many there were: live on a terminal, or a line every ten seconds.

    `quiet` is for when they are themselves shown on that terminal.
    """
    live = sys.stderr.isatty() and not quiet
    every = _LIVE_SECONDS if live else _LINE_SECONDS
    start = last = clock()
    for count, item in enumerate(items, start=1):
        yield item
        now = clock()
        if now - last >= every:
            last = now
            text = f"  … {count:,} {what}, {now - start:.0f} s"
            if live:
                print(f"{text}\x1b[K", end="\r", file=sys.stderr, flush=True)
            elif not quiet:
                say(text)
    if live:
        print("\x1b[K", end="", file=sys.stderr, flush=True)
