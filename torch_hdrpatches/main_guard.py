"""Scripts without a ``__main__`` guard: worker processes import them, and must not start workers in turn."""

from __future__ import annotations

import multiprocessing
import sys

UNGUARDED = (
    "this script starts worker processes while one of them imports it; put the code that trains or exports under "
    "`if __name__ == '__main__':`"
)


def refuse_while_imported() -> None:
    """To be called before processes are started.

    Raises:
        SystemExit: in a process that was started to work, and now imports the script of its parent without a guard,
            after one line on stderr that says so.
    """
    # Python itself makes this test where it starts a process, and then raises a RuntimeError with a long text.
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        print(UNGUARDED, file=sys.stderr, flush=True)
        raise SystemExit(1)
