"""A call that is waited for only so long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Watched(Generic[Result]):
    """A call in a thread of its own, so that one that never returns from C code costs a thread and not the process."""

    def __init__(self, call: Callable[[], Result]) -> None:
        self._call = call
        self._result: list[Result] = []
        self._error: list[BaseException] = []
        # A daemon: an interpreter that ends does not wait for it.
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether the call has not returned."""
        return self._thread.is_alive()

    def result(self, seconds: float) -> Result:
        """What the call returns or raises.

        Raises:
            TimeoutError: if it has not returned after this many seconds; it goes on, and what it holds stays held.
        """
        self._thread.join(seconds)
        if self._thread.is_alive():
            raise TimeoutError(f"no answer within {seconds:g} s")
        # Taken out, not kept: an error remembers the frames it went through, and they remember this call and a decoder.
        if self._error:
            raise self._error.pop()
        return self._result.pop()

    def _run(self) -> None:
        try:
            self._result.append(self._call())
        except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
            self._error.append(error)
