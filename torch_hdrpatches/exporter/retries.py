"""The loop of executors: begins items, tries them again if their worker died, and decides when to give up."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ..errors import WorkerDiedError

Item = TypeVar("Item")
Result = TypeVar("Result")

ATTEMPTS = 3
"""An item fails if this many workers died while they worked on it."""
MOST_FAILED = 3
"""Stop after this many failed items: the cause is then likely the machine, not the items."""

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Task(Generic[Item]):
    """An item, where the work on it is, and how its workers died."""

    item: Item
    where: str = ""
    deaths: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.item}" + (f", at {self.where}" if self.where else "")


class DeathError(Exception):
    """A worker ended or hangs; the message says how."""


def with_retries(
    items: Iterable[Item],
    workers: int,
    begin: Callable[[Task[Item]], None],
    wait: Callable[[], Iterable[tuple[Task[Item], Result | DeathError]]],
) -> Iterator[tuple[Item, Result]]:
    """The items and their results in the order in which they are done; an item whose worker died is begun again.

    ``begin(task)`` starts the work on a task, for at most ``workers`` tasks at a time. ``wait()`` gives the tasks that
    have ended, if any, with their results. Raises WorkerDiedError at the end, which names the items that failed.
    """
    new, again, failed = (Task(item) for item in items), deque[Task[Item]](), list[Task[Item]]()
    running = 0
    while len(failed) < MOST_FAILED:
        while running < workers and (task := again.popleft() if again else next(new, None)):
            begin(task)
            running += 1
        if not running:
            break
        for task, result in wait():
            running -= 1
            if isinstance(result, DeathError):
                task.deaths.append(str(result))
                log.warning("a worker %s while it made %s", result, task)
                (again if len(task.deaths) < ATTEMPTS else failed).append(task)
            else:
                yield task.item, result
    if failed:
        causes = (f"{task} could not be made: its worker {', then '.join(task.deaths)}" for task in failed)
        raise WorkerDiedError("; ".join([*causes, "all else is kept", "fewer workers need less memory"]))
