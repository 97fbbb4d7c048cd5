"""The Ray engine: work as Ray Core tasks, on this machine or on a cluster."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from functools import lru_cache, partial
from itertools import islice
from typing import Any

from ..errors import MissingExtraError, WorkerDiedError
from .processes import ATTEMPTS, MOST_LOST, Executor, Item, Result

log = logging.getLogger(__name__)


def on_ray(workers: int, *, address: str | None = None) -> Executor[Item, Result]:
    """In at most this many Ray tasks at a time, of one CPU each.

    A task whose worker or node dies is done again elsewhere, up to ``ATTEMPTS`` times; then the others are done first,
    and it is an error. An exception that the work raises comes at once. Every node must reach the files that the work
    reads and writes, by a shared disk or as URLs.

    Args:
        workers: tasks at a time.
        address: of a cluster; the one that this process is in or that ``RAY_ADDRESS`` names when absent, else Ray is
            started on this machine for as long as the work lasts.

    Raises:
        MissingExtraError: if Ray is not installed.
        WorkerDiedError: names what could not be done, and how its workers ended.
    """
    return partial(_on_ray, workers, address)


def _on_ray(
    workers: int, address: str | None, work: Callable[[Item], Result], items: Iterable[Item]
) -> Generator[tuple[Item, Result], None, None]:
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError(f"{error}; pip install 'torch_hdrpatches[ray]'") from None
    is_ours = not ray.is_initialized()
    if is_ours:
        place = address or os.environ.get("RAY_ADDRESS") or "local"
        resources: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False} if place == "local" else {}
        ray.init(address=place, log_to_driver=False, **resources)
    try:
        yield from _done(ray, workers, work, items)
    finally:
        if is_ours:
            ray.shutdown()


def _done(
    ray: Any, workers: int, work: Callable[[Item], Result], items: Iterable[Item]
) -> Generator[tuple[Item, Result], None, None]:
    # Retries are ours: Ray's own have no bound for workers that ran out of memory.
    task = ray.remote(num_cpus=1, max_retries=0)(_do)
    shared = ray.put(work)  # once, and kept by every worker: what it learns of its movies serves the next item
    remaining, again = iter(items), deque[Item]()
    running: dict[Any, Item] = {}
    deaths: dict[Item, list[str]] = {}
    lost: list[Item] = []
    try:
        while len(lost) < MOST_LOST:
            while len(running) < workers and (due := [again.popleft()] if again else list(islice(remaining, 1))):
                running[task.remote([shared], due[0])] = due[0]
            if not running:
                break
            (finished,), _ = ray.wait(list(running), num_returns=1)
            item = running.pop(finished)
            try:
                result = ray.get(finished)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            except ray.exceptions.RayError as error:
                deaths.setdefault(item, []).append(type(error).__name__)
                log.warning("%s ended while it made %s: %s", type(error).__name__, item, error)
                (again if len(deaths[item]) < ATTEMPTS else lost).append(item)
            else:
                yield item, result
    finally:
        for reference in running:
            ray.cancel(reference, force=True)
    if lost:
        raise WorkerDiedError(
            "; ".join(f"{item} could not be made: {', then '.join(deaths[item])}" for item in lost)
            + "; all else is kept; fewer workers need less memory"
        )


def _do(shared: list[Any], item: Item) -> Any:
    return _received(shared[0])(item)


@lru_cache(maxsize=1)
def _received(reference: Any) -> Callable[[Any], Any]:
    import ray

    received: Callable[[Any], Any] = ray.get(reference)
    return received
