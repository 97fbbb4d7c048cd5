"""What FFmpeg logs, for the few things about a movie that PyAV has no attribute for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import av

_lock = threading.Lock()


@contextmanager
def logged() -> Iterator[list[tuple[int, str, str]]]:
    """Collect FFmpeg's log up to level INFO as (level, name, text); before and after it stays as the program has it."""
    with _lock:  # the level is one for the whole process
        level, skips = av.logging.get_level(), av.logging.get_skip_repeated()
        av.logging.set_level(av.logging.INFO)
        av.logging.set_skip_repeated(False)
        try:
            # Of all threads: what others log meanwhile would otherwise go to the terminal.
            with av.logging.Capture(local=False) as lines:
                yield lines
        finally:
            av.logging.set_skip_repeated(skips)
            av.logging.set_level(level)
