"""Who does the work: one signature, several engines. Work is drawn lazily, results come as they are done."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeAlias, TypeVar

from ..errors import WorkerDiedError

Item = TypeVar("Item")
Result = TypeVar("Result")

Given: TypeAlias = Generator[tuple[Item, Result], None, None]
"""Items and what came of them, as they are done; closing it ends the work."""

Executor: TypeAlias = Callable[[Callable[[Item], Result], Iterable[Item]], Given[Item, Result]]
"""``executor(work, items)`` gives (item, result) in any order, and draws no more items than it can work on."""

ATTEMPTS = 3
"""Processes that an item may cost."""
MOST_LOST = 3
"""So many lost items stop everything: then it is not the items."""
PATIENCE_SECONDS = 1200.0
"""A process that is silent for longer hangs: an honest slot asks for ten windows of at most 120 s each."""

log = logging.getLogger(__name__)


def serial(work: Callable[[Item], Result], items: Iterable[Item]) -> Given[Item, Result]:
    """One after the other, in this process."""
    for item in items:
        yield item, work(item)


def processes(workers: int, *, patience: float = PATIENCE_SECONDS) -> Executor[Item, Result]:
    """In this many processes, which inherit no decoder, thread or lock.

    A process that is killed, or is not ``alive`` for ``patience`` seconds, is replaced, and its item is done again. An
    item that cost ``ATTEMPTS`` processes is left out: the others are done first, then it is an error. An exception that
    the work raises comes at once.

    Raises:
        WorkerDiedError: names what could not be done, where it was, and how its processes ended.
    """
    return partial(_in_processes, workers, patience)


def on_this_machine(workers: int) -> Executor[Item, Result]:
    """``serial`` for one worker, else ``processes``."""
    return serial if workers <= 1 else processes(workers)


def alive(where: str) -> None:
    """Said by work now and then: that it is alive, and where it is."""
    _say(where)


def _to_nobody(where: str) -> None:
    pass


_say: Callable[[str], None] = _to_nobody
"""Set in the processes of a pool."""


class _DeathError(Exception):
    """A process ended or hangs; says how."""


class _Task(Generic[Item]):
    """An item, where its work is, and how the processes that it cost ended."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.where = ""
        self.deaths: list[str] = []

    def __str__(self) -> str:
        return f"{self.item}" + (f", at {self.where}" if self.where else "")


class _Worker(Generic[Item, Result]):
    """A process, the pipe to it, and what it works on."""

    def __init__(self, work: Callable[[Item], Result]) -> None:
        # Forked from a clean process that has the imports done: they take a second and 180 MB.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(
            ["__main__", *(name for name in sys.modules if name.startswith(f"{__package__.partition('.')[0]}."))]
        )
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, work, dict(os.environ)), daemon=True)
        with _no_interrupts():
            self._process.start()
        theirs.close()
        self.task: _Task[Item] | None = None
        self._heard = 0.0

    @property
    def waited_for(self) -> tuple[Connection, int]:
        return self._pipe, self._process.sentinel

    def begin(self, task: _Task[Item]) -> None:
        self.task, self._heard = task, time.monotonic()
        with suppress(ConnectionError):  # it died just now, which the next look will find
            self._pipe.send(task.item)

    def results(self, patience: float) -> Iterator[tuple[Item, Result]]:
        """What came through the pipe.

        Raises:
            _DeathError: if the process ended, or hangs.
        """
        try:
            while self.task and self._pipe.poll():
                kind, content = self._pipe.recv()
                self._heard = time.monotonic()
                if kind == "alive":
                    self.task.where = content
                elif kind == "raised":
                    raise content
                else:
                    done, self.task = self.task, None
                    yield done.item, content
        except (EOFError, ConnectionError):
            self._process.join(1)
        if not self._process.is_alive():
            raise _DeathError(_ending(self._process.exitcode))
        if self.task and time.monotonic() - self._heard > patience:
            raise _DeathError(f"gave no sign of life for {patience:g} s")

    def end(self) -> None:
        self._process.kill()  # there is nothing to tidy: what it was writing has no name yet
        self._process.join(5)
        self._pipe.close()


def _in_processes(
    workers: int, patience: float, work: Callable[[Item], Result], items: Iterable[Item]
) -> Given[Item, Result]:
    remaining = (_Task(item) for item in items)
    again: deque[_Task[Item]] = deque()
    lost: list[_Task[Item]] = []
    pool: list[_Worker[Item, Result]] = []
    try:
        while len(lost) < MOST_LOST:
            idle = [worker for worker in pool if not worker.task]
            while idle or len(pool) < workers:
                task = again.popleft() if again else next(remaining, None)
                if task is None:
                    break
                if not idle:
                    idle.append(_Worker(work))
                    pool += idle
                idle.pop().begin(task)
            if not any(worker.task for worker in pool):
                break
            wait([thing for worker in pool for thing in worker.waited_for], timeout=min(1.0, patience))
            for worker in tuple(pool):
                try:
                    yield from worker.results(patience)
                except _DeathError as death:
                    pool.remove(worker)
                    worker.end()
                    if worker.task:
                        worker.task.deaths.append(str(death))
                        log.warning("a process %s while it made %s", death, worker.task)
                        (again if len(worker.task.deaths) < ATTEMPTS else lost).append(worker.task)
    finally:
        for worker in pool:
            worker.end()
    if lost:
        raise WorkerDiedError(
            "; ".join(f"{task} could not be made: its process {', the next '.join(task.deaths)}" for task in lost)
            + "; all else is kept; fewer workers need less memory"
        )


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was ended by signal {-code}" + (" (SIGKILL: out of memory?)" if -code == signal.SIGKILL else "")
    return f"ended with exit code {code}"


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Ctrl-C reaches all processes of a terminal; those that begin here leave it to this one."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection, work: Callable[[Any], Any], environment: dict[str, str]) -> None:
    """What a process does: items come, results go."""
    global _say
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.clear()  # what it was forked from has the one of its own beginning
    os.environ.update(environment)
    _say = partial(_answer, pipe, "alive")
    while True:
        try:
            item = pipe.recv()
        except EOFError:
            return
        try:
            answer = "done", work(item)
        except Exception as error:  # noqa: BLE001 - raised again in the parent
            answer = "raised", _portable(error)
        _answer(pipe, *answer)


def _answer(pipe: Connection, kind: str, content: Any) -> None:
    pipe.send((kind, content))


def _portable(error: Exception) -> Exception:
    """The same error, or one that says as much if it does not survive pickling."""
    error.add_note("".join(["In another process:\n", *traceback.format_tb(error.__traceback__)]))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - anything may be in it, and it is said all the same
        return RuntimeError("".join(traceback.format_exception(error)))
    return error


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "it was started by one"
    parent.join()
    os._exit(1)
