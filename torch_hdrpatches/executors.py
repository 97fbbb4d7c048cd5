"""Who does the work: one signature, several engines. Work is drawn lazily, results come as they are done."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from functools import partial
from itertools import islice
from typing import TypeAlias, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

Executor: TypeAlias = Callable[[Callable[[Item], Result], Iterable[Item]], Iterator[tuple[Item, Result]]]
"""``executor(work, items)`` gives (item, result) in any order, and draws no more items than it can work on."""


def serial(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
    """One after the other, in this process."""
    for item in items:
        yield item, work(item)


def processes(workers: int) -> Executor[Item, Result]:
    """In this many spawned processes, which inherit no decoder, thread or lock."""
    return partial(_in_processes, workers)


def _in_processes(workers: int, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
    remaining = iter(items)
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    running: dict[Future[Result], Item] = {}
    try:
        while True:
            for item in islice(remaining, workers - len(running)):
                running[pool.submit(work, item)] = item
            if not running:
                return
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(done), done.result()
    finally:
        pool.shutdown(cancel_futures=True)
