"""The Ray executor: work as Ray tasks, on this machine or on a cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Any, cast

from ..errors import MissingExtraError
from .processes import Executor, Results
from .retries import DeathError, Item, Result, Task, with_retries


def on_ray(workers: int, *, address: str | None = None) -> Executor[Item, Result]:
    """In at most ``workers`` Ray tasks at a time, of one CPU each.

    A task whose worker or node dies is tried again elsewhere. After ``ATTEMPTS`` deaths it is left out: the others are
    done first, then an error is raised. An exception of the work itself is raised at once. Every node must have access
    to the files that the work reads and writes, on a shared disk or by URLs.

    Args:
        workers: tasks at a time.
        address: of a cluster; by default the one that this process belongs to or that ``RAY_ADDRESS`` names, else Ray
            is started on this machine for as long as the work lasts.

    Raises:
        MissingExtraError: if Ray is not installed.
        WorkerDiedError: names the items that failed, and how their workers ended.
    """
    return partial(_on_ray, workers, address)


def _on_ray(
    workers: int, address: str | None, work: Callable[[Item], Result], items: Iterable[Item]
) -> Results[Item, Result]:
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError(f"{error}; pip install 'torch_hdrpatches[ray]'") from None
    running = dict[Any, Task[Item]]()

    def begin(task: Task[Item]) -> None:
        running[remote.remote([shared], task.item)] = task

    def ended() -> list[tuple[Task[Item], Result | DeathError]]:
        (reference,), _ = ray.wait(list(running), num_returns=1)
        task = running.pop(reference)
        try:
            return [(task, ray.get(reference))]
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayError as error:
            return [(task, DeathError(f"ended with {type(error).__name__}"))]

    is_ours = not ray.is_initialized()
    if is_ours:
        place = address or os.environ.get("RAY_ADDRESS") or "local"
        resources: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False} if place == "local" else {}
        ray.init(address=place, log_to_driver=False, **resources)
    try:
        # Retries are ours: Ray's own are unlimited for workers that ran out of memory.
        remote: Any = ray.remote(num_cpus=1, max_retries=0)(_do)
        shared = ray.put(work)  # once, and kept by every worker: what it learns of its movies serves the next item
        yield from with_retries(items, workers, begin, ended)
    finally:
        for reference in running:
            ray.cancel(reference, force=True)
        if is_ours:
            ray.shutdown()


def _do(shared: list[Any], item: Item) -> Any:
    return _received(shared[0])(item)


@lru_cache(maxsize=1)
def _received(reference: Any) -> Callable[[Any], Any]:
    import ray

    return cast(Callable[[Any], Any], ray.get(reference))
