"""Every executor writes the same folder, also a cluster that loses a node."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.exports import differing, tree
from torch_hdrpatches import export
from torch_hdrpatches.errors import MissingExtraError, WorkerDiedError
from torch_hdrpatches.exporter import Part, export_part, finish_parts, on_ray, processes
from torch_hdrpatches.exporter.retries import ATTEMPTS

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::ResourceWarning"),  # Ray's own
    pytest.mark.timeout(600),  # Ray takes long to begin on a busy machine
]

CLIPS = ("pq_hevc_bear_360p30.mp4", "hlg_hevc_848x464.mkv", "pq_hevc_dv8_360p60.mp4")


@pytest.fixture(scope="module")
def mixed(three_written: dict[str, Any]) -> dict[str, Any]:
    """Three movies, three categories, two targets; and three real clips if ``HDRPATCHES_CLIPS`` is set."""
    recipe = deepcopy(three_written)
    if folder := os.environ.get("HDRPATCHES_CLIPS"):
        for name in CLIPS:
            clip = {"path": str(Path(folder) / name), "timestamps": 8, "categories": {"one": 1.0, "three": 0.5}}
            recipe["movies"].append(clip)
    return recipe


@pytest.fixture(scope="module")
def mixed_whole(mixed: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of its serial export."""
    out = tmp_path_factory.mktemp("mixed") / "out"
    export(mixed, out)
    return tree(out)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Ray on this machine: two nodes with one CPU each, and a head node without any."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 80 << 20})
    for _ in range(2):
        nodes.add_node(num_cpus=1, object_store_memory=80 << 20)
    ray.init(address=nodes.address, log_to_driver=False)
    yield nodes
    ray.shutdown()
    nodes.shutdown()


def in_processes(workers: int) -> Callable[..., None]:
    def engine(recipe: dict[str, Any], out: Path) -> None:
        export(recipe, out, executor=processes(workers))

    return engine


def in_parts(parts: int) -> Callable[..., None]:
    def engine(recipe: dict[str, Any], out: Path) -> None:
        while True:
            made = sum(export_part(recipe, out, Part(number, parts)).total for number in range(parts))
            if not made:
                break
        finish_parts(recipe, out)

    return engine


@pytest.mark.parametrize("engine", [in_processes(1), in_processes(2), in_processes(4), in_parts(4)])
def test_every_executor_writes_the_same_folder_as_one_process(mixed, mixed_whole, tmp_path, engine):
    engine(mixed, tmp_path)
    assert differing(tree(tmp_path), mixed_whole) == []


def test_ray_writes_the_same_folder_as_one_process(cluster, mixed, mixed_whole, tmp_path):
    export(mixed, tmp_path, executor=on_ray(2))
    assert differing(tree(tmp_path), mixed_whole) == []


def test_an_item_that_kills_its_workers_is_named_and_the_others_are_done(cluster, tmp_path):
    def work(item: int) -> int:
        if item == 1:
            (tmp_path / f"{os.getpid()}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return 2 * item

    done = on_ray(2)(work, range(4))
    assert {next(done) for _ in range(3)} == {(0, 0), (2, 4), (3, 6)}
    with pytest.raises(WorkerDiedError, match=r"1 could not be made: its worker ended with WorkerCrashedError, then"):
        next(done)
    assert len(list(tmp_path.iterdir())) == ATTEMPTS


def test_an_exception_of_the_work_is_raised_unchanged(cluster):
    def work(item: int) -> int:
        raise LookupError(f"no {item}")

    with pytest.raises(LookupError, match="no 0"):
        list(on_ray(1)(work, [0]))


def test_a_cluster_that_loses_a_node_writes_the_same_folder(cluster, mixed, mixed_whole, tmp_path):
    def slow(work: Callable[[Any], Any], items: Any) -> Iterator[Any]:
        def slowed(item: Any) -> Any:
            if item.index < 6:
                time.sleep(2.0)  # so that both nodes are at work when one is lost
            return work(item)

        return on_ray(2)(slowed, items)

    lost: list[threading.Thread] = []

    def lose(tally: object) -> None:
        if not lost:
            node = cluster.list_all_nodes()[-1]
            lost.append(threading.Thread(target=cluster.remove_node, args=(node,), kwargs={"allow_graceful": False}))
            lost[0].start()

    export(mixed, tmp_path, executor=slow, progress=lose)
    lost[0].join()
    ray, end = pytest.importorskip("ray"), time.monotonic() + 60
    while all(node["Alive"] for node in ray.nodes()):
        assert time.monotonic() < end, "no node was lost"
        time.sleep(0.1)
    assert differing(tree(tmp_path), mixed_whole) == []


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"torch_hdrpatches\[ray\]"):
        list(on_ray(1)(str, [1]))
