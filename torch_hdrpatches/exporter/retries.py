"""Which items an executor works on again after a worker died, and when it gives up."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ..errors import WorkerDiedError

Item = TypeVar("Item")

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


class Retries(Generic[Item]):
    """The tasks of an executor: new items, and those whose worker died."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._new = (Task(item) for item in items)
        self._again: deque[Task[Item]] = deque()
        self._failed: list[Task[Item]] = []

    @property
    def gave_up(self) -> bool:
        """Whether so many items failed that no more should be tried."""
        return len(self._failed) >= MOST_FAILED

    def next(self) -> Task[Item] | None:
        """The task to begin next, or None."""
        return self._again.popleft() if self._again else next(self._new, None)

    def died(self, task: Task[Item], how: str) -> None:
        """Note that the worker of a task died; it is tried again, or has failed."""
        task.deaths.append(how)
        log.warning("a worker %s while it made %s", how, task)
        (self._again if len(task.deaths) < ATTEMPTS else self._failed).append(task)

    def check(self) -> None:
        """Raise WorkerDiedError, which names the tasks that failed, if there are any."""
        if self._failed:
            failed = (f"{task} could not be made: its worker {', then '.join(task.deaths)}" for task in self._failed)
            raise WorkerDiedError("; ".join([*failed, "all else is kept", "fewer workers need less memory"]))
