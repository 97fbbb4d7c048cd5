"""The epoch that the next iteration of a dataset gives, agreed on by all processes that iterate it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import get_spawning_popen
from typing import Any, NamedTuple

import torch

REMEMBERED_ITERATIONS = 64
LOCK_TIMEOUT_SECONDS = 60


class Choice(NamedTuple):
    """The epoch that ``set_epoch`` chose last, and how often it was called."""

    calls: int
    epoch: int


class EpochCounter:
    """Counts iterations as they begin: the next one gives the next epoch, even if this one does not come to its end.

    It lies in shared memory, because a ``DataLoader`` iterates in its workers: all of them find the same epoch for the
    same iteration, and workers that live on see ``set``.
    """

    def __init__(self, epoch: int) -> None:
        shape = (REMEMBERED_ITERATIONS + 2, 2)
        self._cells = torch.zeros(shape, dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]
        """int64 (cells, 2): the next epoch and whether an iteration has begun; the choice; then token and epoch of the
        latest iterations."""
        self._lock: Any = multiprocessing.Lock()
        self._lock_spawns = False
        self._cells[0, 0] = self._cells[1, 1] = epoch

    @property
    def next(self) -> int:
        """The epoch of the next iteration."""
        return int(self._cells[0, 0])

    @property
    def choice(self) -> Choice:
        """What ``set`` was called with last, or the epoch at the start."""
        return Choice(*self._cells[1].tolist())

    def set(self, epoch: int) -> None:
        """Choose the epoch of the next iteration."""
        with self._locked():
            self._cells[0, 0] = epoch
            self._cells[1] = torch.tensor([self._cells[1, 0] + 1, epoch])

    def begin(self, token: int, epoch: int | None = None) -> int:
        """The epoch of an iteration that is known by a token above 0, the same for all processes that take part.

        It is ``epoch`` where that is given; otherwise the first of them makes it the next one.
        """
        with self._locked():
            found = (self._cells[2:, 0] == token).nonzero()
            if epoch is None and found.numel():
                return int(self._cells[2 + int(found[0, 0]), 1])
            begun, count = self.next if epoch is None else epoch, int(self._cells[0, 1]) + 1
            self._cells[0] = torch.tensor([begun + 1, count])
            row = int(found[0, 0]) if found.numel() else count % REMEMBERED_ITERATIONS
            self._cells[2 + row] = torch.tensor([token, begun])
            return begun

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=LOCK_TIMEOUT_SECONDS):
            raise RuntimeError("another process that iterates this dataset was killed at a bad moment; make it anew")
        try:
            yield
        finally:
            self._lock.release()

    def __getstate__(self) -> dict[str, Any]:
        if get_spawning_popen() is None:  # a copy that counts on its own
            return {"epoch": self.next}
        if not self._lock_spawns:  # the lock of a forking process cannot be sent to a spawned one
            self._lock, self._lock_spawns = multiprocessing.get_context("spawn").Lock(), True
        return self.__dict__.copy()

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "epoch" in state:
            self.__init__(state["epoch"])  # type: ignore[misc]
        else:
            self.__dict__.update(state)
