"""A function call with a time limit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class TimedCall(Generic[Result]):
    """A call that runs in its own thread, because a call into C code that never returns cannot be interrupted."""

    def __init__(self, call: Callable[[], Result]) -> None:
        self._call = call
        self._result: list[Result] = []
        self._error: list[BaseException] = []
        # A daemon thread does not keep the interpreter from exiting.
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether the call has not returned yet."""
        return self._thread.is_alive()

    def result(self, seconds: float) -> Result:
        """Return what the call returns, or raise what it raises.

        Raises:
            TimeoutError: the call has not returned after this many seconds. It goes on, and its resources stay in use.
        """
        self._thread.join(seconds)
        if self.is_running:
            raise TimeoutError(f"no answer within {seconds:g} s")
        # Removed rather than kept: an error refers to its stack frames, and these to this call and a decoder.
        if self._error:
            raise self._error.pop()
        return self._result.pop()

    def _run(self) -> None:
        try:
            self._result.append(self._call())
        except BaseException as error:  # noqa: BLE001 - raised again in result()
            self._error.append(error)
