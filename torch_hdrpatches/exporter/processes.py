"""Executors on this machine: in this process, or in a pool of processes.

The pool is written here because those of the standard library lose all work when one process is killed, and know no
heartbeat to tell a process that hangs from one that decodes for minutes.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeAlias

from .retries import DeathError, Item, Result, Task, with_retries

Results: TypeAlias = Generator[tuple[Item, Result], None, None]
"""Items and their results in the order in which they are done; closing it ends the work."""

Executor: TypeAlias = Callable[[Callable[[Item], Result], Iterable[Item]], Results[Item, Result]]
"""``executor(work, items)`` yields (item, result) in any order, and takes no more items than it can work on at once."""

SILENCE_TIMEOUT_SECONDS = 1200.0
"""A process without a heartbeat for this long hangs: a slot may take ten windows of up to 120 s each."""


def serial(work: Callable[[Item], Result], items: Iterable[Item]) -> Results[Item, Result]:
    """One item after the other, in this process."""
    for item in items:
        yield item, work(item)


def processes(workers: int, *, timeout: float = SILENCE_TIMEOUT_SECONDS) -> Executor[Item, Result]:
    """In a pool of processes, which inherit no decoder, thread or lock.

    A process that dies, or sends no ``heartbeat`` for ``timeout`` seconds, is replaced, and its item is tried again.
    After ``ATTEMPTS`` deaths the item is left out: the others are done first, then an error is raised. An exception of
    the work itself is raised at once.

    Raises:
        WorkerDiedError: names the items that failed, where the work on them was, and how their processes ended.
    """
    return partial(_in_processes, workers, timeout)


def on_this_machine(workers: int) -> Executor[Item, Result]:
    """``serial`` for one worker, else ``processes``."""
    return serial if workers <= 1 else processes(workers)


_parent: Connection | None = None
"""The pipe to the parent, in a process of a pool."""


def heartbeat(where: str) -> None:
    """To be called by work at least every few minutes: it makes progress; ``where`` is for error messages."""
    if _parent:
        _parent.send(("heartbeat", where))


class _Worker(Generic[Item, Result]):
    """A process, the pipe to it, and the task it works on."""

    def __init__(self, work: Callable[[Item], Result]) -> None:
        if "forkserver" in multiprocessing.get_all_start_methods():
            # Forked from a clean process that has the imports done: they take a second and 180 MB.
            context: Any = multiprocessing.get_context("forkserver")
            package = f"{__package__.partition('.')[0]}."
            context.set_forkserver_preload(["__main__", *(name for name in sys.modules if name.startswith(package))])
        else:  # Windows
            context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, work, dict(os.environ)), daemon=True)
        with _interrupts_blocked():
            self.process.start()
        theirs.close()
        self.task: Task[Item] | None = None
        self._heard = 0.0

    def begin(self, task: Task[Item]) -> None:
        self.task, self._heard = task, time.monotonic()
        with suppress(ConnectionError):  # it died just now, which ``results`` will find
            self.pipe.send(task.item)

    def results(self, timeout: float) -> Iterator[tuple[Task[Item], Result]]:
        """The result of the task, if it is there. Raises DeathError if the process ended, or hangs."""
        for kind, content in self._messages():
            self._heard = time.monotonic()
            if kind == "raised":
                raise content
            if self.task and kind == "heartbeat":
                self.task.where = content
            elif self.task:
                done, self.task = self.task, None
                yield done, content
        if not self.process.is_alive():
            raise DeathError(_ending(self.process.exitcode))
        if self.task and time.monotonic() - self._heard > timeout:
            raise DeathError(f"sent no heartbeat for {timeout:g} s")

    def _messages(self) -> Iterator[tuple[str, Any]]:
        try:
            while self.task and self.pipe.poll():
                yield self.pipe.recv()
        except (EOFError, ConnectionError):
            self.process.join(1)

    def end(self) -> None:
        self.process.kill()  # nothing to clean up: files that it was writing have no name yet
        self.process.join(5)
        self.pipe.close()


def _in_processes(
    workers: int, timeout: float, work: Callable[[Item], Result], items: Iterable[Item]
) -> Results[Item, Result]:
    pool: list[_Worker[Item, Result]] = []

    def begin(task: Task[Item]) -> None:
        worker = next((worker for worker in pool if not worker.task), None)
        if not worker:
            worker = _Worker(work)
            pool.append(worker)
        worker.begin(task)

    def ended() -> Iterator[tuple[Task[Item], Result | DeathError]]:
        wait([handle for worker in pool for handle in (worker.pipe, worker.process.sentinel)], min(1.0, timeout))
        for worker in tuple(pool):
            try:
                yield from worker.results(timeout)
            except DeathError as death:
                pool.remove(worker)
                worker.end()
                if worker.task:
                    yield worker.task, death

    try:
        yield from with_retries(items, workers, begin, ended)
    finally:
        for worker in pool:
            worker.end()


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was ended by signal {-code}" + (" (SIGKILL: out of memory?)" if code == -9 else "")
    return f"ended with exit code {code}"


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Ctrl-C reaches all processes of a terminal; those that are started here leave it to this one."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection, work: Callable[[Any], Any], environment: dict[str, str]) -> None:
    """The main function of a process: items come through the pipe, results go back."""
    global _parent
    _parent = pipe
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.clear()  # the fork server has the environment of its own start
    os.environ.update(environment)
    with suppress(EOFError, ConnectionError):  # the parent has ended
        while True:
            item = pipe.recv()
            try:
                answer = "done", work(item)
            except Exception as error:  # noqa: BLE001 - raised again in the parent
                answer = "raised", _portable(error)
            pipe.send(answer)


def _portable(error: Exception) -> Exception:
    """The same error, or one with its text if it cannot be pickled."""
    error.add_note("".join(["In another process:\n", *traceback.format_tb(error.__traceback__)]))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - pickling may raise anything
        return RuntimeError("".join(traceback.format_exception(error)))
    return error


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "it was started by one"
    parent.join()
    os._exit(1)
