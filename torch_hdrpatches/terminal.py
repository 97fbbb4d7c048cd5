"""What commands share: the console, exit codes, and how a number of bytes or seconds is said."""

from __future__ import annotations

from rich.console import Console

DONE, FAILED, BAD_RECIPE, SOME_MOVIES_FAILED, INTERRUPTED = 0, 1, 2, 3, 130

console = Console()


def size(count: float) -> str:
    """``1.2 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float) -> str:
    """``3 h 05 min``, ``12 min``, ``12 s`` or ``0.3 s``."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 9.95 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
