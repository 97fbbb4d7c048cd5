"""Every item gives one result even if processes die; items that fail again and again are named."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from torch_hdrpatches.errors import WorkerDiedError
from torch_hdrpatches.exporter import processes, serial
from torch_hdrpatches.exporter.processes import heartbeat


def squared(number: int) -> int:
    return number * number


def dying(folder: Path, times: int, kill: Callable[[], None], number: int) -> int:
    """As ``squared``, but ``kill`` is called at item 3, this many times."""
    heartbeat(f"movie {number}")
    if number == 3:
        for attempt in range(times):
            mark = folder / str(attempt)
            if not mark.exists():
                mark.touch()
                kill()
    return number * number


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hanging() -> None:
    time.sleep(100)


def leaving(number: int = 0) -> None:
    os._exit(7)


def refusing(number: int) -> int:
    if number == 3:
        raise ValueError("three is not allowed")
    return number


def disconnected(number: int) -> int:
    raise ConnectionResetError("the store is gone")


class Unportable(Exception):  # noqa: N818
    def __init__(self, one: int, two: int) -> None:
        super().__init__("cannot be pickled")


def unportable(number: int) -> int:
    raise Unportable(1, 2)


def orphaned(mark: Path, number: int) -> int:
    mark.write_text(str(os.getpid()))
    time.sleep(100)
    return number


@pytest.mark.parametrize("executor", [serial, processes(1), processes(3)])
def test_every_engine_gives_every_item_with_its_result(executor):
    assert sorted(executor(squared, range(7))) == [(number, number * number) for number in range(7)]


def test_only_as_many_items_are_taken_as_there_are_processes():
    drawn = []
    for done, (_, _) in enumerate(processes(2)(squared, (drawn.append(item) or item for item in range(9)))):
        assert len(drawn) <= done + 2
    assert len(drawn) == 9


@pytest.mark.parametrize("kill", [killed, hanging, leaving])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_process_that_dies_or_hangs_is_replaced_and_its_item_done_again(tmp_path, workers, kill):
    given = processes(workers, timeout=5)(partial(dying, tmp_path, 2, kill), range(6))
    assert sorted(given) == [(number, number * number) for number in range(6)]
    assert len(list(tmp_path.iterdir())) == 2


def test_an_item_that_kills_three_processes_is_named_and_the_others_are_done(tmp_path):
    given = []
    working = processes(2)(partial(dying, tmp_path, 9, killed), range(8))
    with pytest.raises(WorkerDiedError, match=r"^3, at movie 3 could not be made: .*SIGKILL.*then.*then"):
        given += (item for item, _ in working)
    assert sorted(given) == [0, 1, 2, 4, 5, 6, 7]
    assert len(list(tmp_path.iterdir())) == 3


def test_after_three_failed_items_no_more_are_tried():
    with pytest.raises(WorkerDiedError, match="exit code 7"):
        list(processes(2)(leaving, range(10**9)))


@pytest.mark.parametrize(
    ("work", "error", "words"),
    [
        (refusing, ValueError, "three"),
        (unportable, RuntimeError, "cannot be pickled"),
        (disconnected, ConnectionResetError, "the store is gone"),  # not that of the pipe
    ],
)
def test_an_exception_comes_at_once_and_says_where_it_was_raised(work, error, words):
    with pytest.raises(error, match=words) as raised:
        list(processes(2)(work, range(1000)))
    assert work.__name__ in "".join([*getattr(raised.value, "__notes__", ()), str(raised.value)])


def test_processes_have_the_current_environment(monkeypatch):
    for value in ("one", "two"):
        monkeypatch.setenv("HDRPATCHES_TEST", value)
        assert list(processes(1)(os.getenv, ["HDRPATCHES_TEST"])) == [("HDRPATCHES_TEST", value)]


def test_where_there_is_no_fork_server_processes_are_spawned(monkeypatch):
    """As on Windows, which has no signal masks either."""
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    monkeypatch.delattr(signal, "pthread_sigmask")
    assert sorted(processes(2)(squared, range(4))) == [(number, number * number) for number in range(4)]


ORPHANING = """
import sys, time
from functools import partial
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.exporter.test_processes import orphaned
from torch_hdrpatches.exporter import processes
if __name__ == "__main__":
    list(processes(1)(partial(orphaned, Path(sys.argv[1])), [0]))
"""


def test_processes_end_with_their_parent(tmp_path):
    mark = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, "-c", ORPHANING, str(mark), str(Path(__file__).parents[2])])
    until(lambda: mark.exists() and mark.read_text())
    child = Path("/proc", mark.read_text(), "stat")
    assert child.exists()
    parent.kill()
    parent.wait()
    until(lambda: not child.exists() or child.read_text().split()[2] == "Z")


def until(true: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)
